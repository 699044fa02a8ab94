<?php
// Sends what the job on standard input says with PHPMailer, and writes down what it sent: its SMTP
// class folds what it thinks too long, so what the message says of itself is not the last word.

require '/usr/share/php/libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

class Telling extends SMTP
{
    public string $said = '';

    public function client_send($data, $command = '')
    {
        if ($command === 'DATA' && $data !== "DATA\r\n") {
            $this->said .= $data[0] === '.' ? substr($data, 1) : $data;
        }
        return parent::client_send($data, $command);
    }
}

$job = json_decode(stream_get_contents(STDIN), true, 16, JSON_THROW_ON_ERROR);

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = $job['host'];
$mail->Port = $job['port'];
$mail->SMTPSecure = $job['implicit'] ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPOptions = ['ssl' => ['cafile' => $job['ca'], 'verify_peer' => true]];
$mail->SMTPAuth = true;
$mail->AuthType = $job['mechanism'];
$mail->Username = $job['username'];
$mail->Password = $job['password'];
$mail->Timeout = 40;
// Why a connection failed it says here and nowhere else; every line that it sends it says, too.
$mail->SMTPDebug = SMTP::DEBUG_CONNECTION;
$mail->Debugoutput = function (string $told, int $level): void {
    if ($level >= SMTP::DEBUG_CONNECTION) {
        fwrite(STDERR, $told . "\n");
    }
};

$text = file_get_contents($job['text_file']);
$mail->CharSet = PHPMailer::CHARSET_UTF8;
$mail->Encoding = preg_match('/[\x80-\xff]/', $text) ? PHPMailer::ENCODING_8BIT : PHPMailer::ENCODING_7BIT;
$mail->Sender = $job['return_path'];
$mail->setFrom($job['return_path'], 'Shop');
foreach ($job['shown'] as $address) {
    $mail->addAddress($address);
}
$mail->addBCC($job['hidden']);
$mail->Subject = $job['subject'] . ' Grüße';
$mail->addCustomHeader($job['option'][0], $job['option'][1]);
$mail->Body = $text;
if ($job['attachment_file'] !== '') {
    $mail->addAttachment($job['attachment_file'], $job['attachment_name']);
}
$smtp = new Telling();
$mail->setSMTPInstance($smtp);
$mail->send();

file_put_contents($job['said_file'], $smtp->said);
