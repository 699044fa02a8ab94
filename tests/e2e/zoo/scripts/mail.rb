# Sends what the job on standard input says with the mail gem, and writes down what it says it sent.
# What is given as a whole message is handed to the library below it, net-smtp, as it is: the gem
# would read it and write it anew. The authority lies where SSL_CERT_FILE says.

require 'json'
require 'mail'
require 'net/smtp'

job = JSON.parse($stdin.read)

def hand_over_whole(job)
  smtp = Net::SMTP.new(job['host'], job['port'])
  job['implicit'] ? smtp.enable_tls : smtp.enable_starttls
  login = [job['username'], job['password'], job['mechanism'].downcase.to_sym]
  smtp.start('ruby.example.com', *login) do
    smtp.send_message(File.binread(job['message_file']), job['return_path'], *job['recipients'])
  end
end

def compose(job)
  text = File.read(job['text_file'], encoding: 'UTF-8')
  mail = Mail.new(charset: 'UTF-8')
  mail.from = "Shop <#{job['return_path']}>"
  mail.to = job['shown']
  mail.bcc = job['hidden']
  mail.subject = "#{job['subject']} Grüße"
  mail.smtp_envelope_from = job['return_path']
  mail[job['option'][0]] = job['option'][1]
  if job['attachment_file'].empty?
    mail.body = text
    mail.content_type = 'text/plain; charset=UTF-8'
    mail.transport_encoding = '8bit'
    mail.content_transfer_encoding = '8bit'
  else
    mail.text_part = Mail::Part.new { body text }
    mail.attachments[job['attachment_name']] = File.binread(job['attachment_file'])
  end
  mail
end

def hand_over(mail, job)
  mail.delivery_method(
    :smtp,
    address: job['host'], port: job['port'], domain: 'ruby.example.com',
    user_name: job['username'], password: job['password'],
    authentication: job['mechanism'].downcase.to_sym,
    tls: job['implicit'], enable_starttls: !job['implicit'], openssl_verify_mode: 'peer',
    open_timeout: 20, read_timeout: 40
  )
  mail.deliver!
end

if job['whole']
  hand_over_whole(job)
else
  mail = compose(job)
  hand_over(mail, job)
  File.binwrite(job['said_file'], mail.encoded)
end
