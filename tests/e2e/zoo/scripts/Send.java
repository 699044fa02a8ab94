// Sends what the job on standard input says with JavaMail, and writes down what it says it sent.
// What is given as a whole message is sent as it is.

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.mail.Address;
import javax.mail.Message;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.internet.MimeUtility;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

public class Send {
    public static void main(String[] arguments) throws Exception {
        Properties job = new Properties();
        job.load(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        boolean implicit = job.getProperty("implicit").equals("true");
        String protocol = implicit ? "smtps" : "smtp";
        String prefix = "mail." + protocol + ".";

        Properties settings = new Properties();
        settings.setProperty(prefix + "host", job.getProperty("host"));
        settings.setProperty(prefix + "port", job.getProperty("port"));
        settings.setProperty(prefix + "auth", "true");
        settings.setProperty(prefix + "auth.mechanisms", job.getProperty("mechanism"));
        settings.setProperty(prefix + "from", job.getProperty("return_path"));
        settings.setProperty(prefix + "localhost", "java.example.com");
        settings.setProperty(prefix + "allow8bitmime", "true");
        settings.setProperty(prefix + "ssl.checkserveridentity", "true");
        settings.setProperty(prefix + "starttls.enable", String.valueOf(!implicit));
        settings.setProperty(prefix + "starttls.required", String.valueOf(!implicit));
        settings.setProperty("mail.mime.allowutf8", job.getProperty("utf8"));
        settings.put(prefix + "ssl.socketFactory", trusting(Path.of(job.getProperty("ca"))));
        Session session = Session.getInstance(settings);

        MimeMessage message = job.getProperty("whole").equals("true")
            ? new MimeMessage(session, new ByteArrayInputStream(read(job, "message_file")))
            : composed(session, job);
        Address[] recipients = InternetAddress.parse(job.getProperty("recipients"), false);
        try (Transport transport = session.getTransport(protocol)) {
            transport.connect(job.getProperty("username"), job.getProperty("password"));
            transport.sendMessage(message, recipients);
        }
        try (OutputStream said = Files.newOutputStream(Path.of(job.getProperty("said_file")))) {
            // These two it leaves out on the wire.
            message.writeTo(said, new String[] {"Bcc", "Content-Length"});
        }
    }

    private static SSLSocketFactory trusting(Path authority) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream pem = Files.newInputStream(authority)) {
            trusted.setCertificateEntry(
                "authority", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory managers =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    private static MimeMessage composed(Session session, Properties job) throws Exception {
        String text = new String(read(job, "text_file"), StandardCharsets.UTF_8);
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(job.getProperty("return_path"), "Shop"));
        message.setRecipients(Message.RecipientType.TO, job.getProperty("shown"));
        message.setRecipients(Message.RecipientType.BCC, job.getProperty("hidden"));
        message.setSubject(job.getProperty("subject") + " Grüße", "UTF-8");
        message.setHeader(job.getProperty("option_name"), job.getProperty("option_value"));
        if (job.getProperty("attachment_file").isEmpty()) {
            message.setText(text, "UTF-8");
            message.setHeader("Content-Transfer-Encoding", "8bit");
        } else {
            MimeBodyPart words = new MimeBodyPart();
            words.setText(text, "UTF-8");
            MimeBodyPart attached = new MimeBodyPart();
            attached.attachFile(job.getProperty("attachment_file"));
            attached.setFileName(MimeUtility.encodeText(job.getProperty("attachment_name"), "UTF-8", null));
            message.setContent(new MimeMultipart(words, attached));
        }
        message.saveChanges();
        return message;
    }

    private static byte[] read(Properties job, String name) throws Exception {
        return Files.readAllBytes(Path.of(job.getProperty(name)));
    }
}
