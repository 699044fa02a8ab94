# Sends the whole message that the job on standard input names with Net::SMTP.

use strict;
use warnings;

use Authen::SASL;
use JSON::PP;
use Net::SMTP;

local $/;
my $job = decode_json(<STDIN>);
open my $file, '<:raw', $job->{message_file} or die "$job->{message_file}: $!";
my $message = <$file>;
$/ = "\n";

my %trust = (SSL_ca_file => $job->{ca}, SSL_verify_mode => 1, SSL_verifycn_name => $job->{host});
my $smtp = Net::SMTP->new(
    $job->{host}, Port => $job->{port}, Hello => 'perl.example.com', Timeout => 40,
    SSL => $job->{implicit} ? 1 : 0, %trust,
) or die "no connection: $@";

# Its methods return an empty list where they fail, unless they are asked for a scalar.
sub must ($$) {
    my ($what, $done) = @_;
    die "$what: $@ " . $smtp->code . ' ' . $smtp->message if !$done;
    return;
}

must('STARTTLS', $smtp->starttls(%trust)) if !$job->{implicit};
my $login = Authen::SASL->new(
    mechanism => $job->{mechanism},
    callback => { user => $job->{username}, pass => $job->{password} },
);
must('AUTH', $smtp->auth($login));
must('MAIL', $smtp->mail($job->{return_path}, Bits => 8, Size => length $message));
must('RCPT', $smtp->to(@{ $job->{recipients} }));
must('DATA', $smtp->data);
must('content', $smtp->datasend($message));
must('final dot', $smtp->dataend);
$smtp->quit;
