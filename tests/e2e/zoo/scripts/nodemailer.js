// Sends what the job on standard input says with nodemailer, and writes down what leaves it.
// What is given as a whole message is sent as it is.

'use strict';

const fs = require('node:fs');
const { Transform } = require('node:stream');

const job = JSON.parse(fs.readFileSync(0, 'utf8'));
const nodemailer = require(job.nodemailer);

const transport = nodemailer.createTransport({
    host: job.host,
    port: job.port,
    secure: job.implicit,
    requireTLS: !job.implicit,
    tls: { ca: fs.readFileSync(job.ca) },
    auth: { user: job.username, pass: job.password },
    authMethod: job.mechanism,
    pool: true,
});

const said = [];

transport.use('stream', (mail, done) => {
    mail.message.processFunc((input) => {
        const tee = new Transform({
            transform(piece, _, next) {
                said.push(piece);
                next(null, piece);
            },
        });
        input.once('error', (error) => tee.destroy(error));
        return input.pipe(tee);
    });
    done();
});

const message = { envelope: { from: job.return_path, to: job.recipients } };
if (job.whole) {
    message.raw = { path: job.message_file };
} else {
    Object.assign(message, {
        from: { name: 'Shop', address: job.return_path },
        to: job.shown,
        bcc: job.hidden,
        subject: job.subject + ' Grüße',
        text: fs.readFileSync(job.text_file, 'utf8'),
        headers: { [job.option[0]]: job.option[1] },
    });
    if (job.attachment_file) {
        message.attachments = [{ filename: job.attachment_name, path: job.attachment_file }];
    }
}

transport.sendMail(message, (error) => {
    if (error) {
        console.error(error);
        process.exitCode = 1;
    }
    fs.writeFileSync(job.said_file, Buffer.concat(said));
    transport.close();
});
