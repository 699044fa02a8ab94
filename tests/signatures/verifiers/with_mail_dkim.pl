# Verifies signatures with Mail::DKIM: one JSON document in, one out. Records come from the document.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;

package Records;
sub new { my ($class, $records) = @_; return bless { records => $records }, $class; }
sub query { my ($self, $name, $type) = @_; return $self->send($name, $type); }
sub errorstring { return 'NXDOMAIN'; }
sub send {
    my ($self, $name, $type) = @_;
    my $text = $self->{records}->{$name};
    my $packet = Net::DNS::Packet->new($name, $type);
    if (!defined $text) { $packet->header->rcode('NXDOMAIN'); return $packet; }
    my @pieces = unpack('(a250)*', $text);
    $packet->push(answer => Net::DNS::RR->new(
        name => $name, type => 'TXT', ttl => 60, txtdata => \@pieces));
    return $packet;
}

package main;
use Net::DNS;

my $asked = decode_json(do { local $/; <STDIN> });
Mail::DKIM::DNS::resolver(Records->new($asked->{records}));
my @verdicts;
for my $content (@{ $asked->{contents} }) {
    my $dkim = Mail::DKIM::Verifier->new();
    $dkim->PRINT(decode_base64($content));
    $dkim->CLOSE;
    my @found;
    for my $signature ($dkim->signatures) {
        next if $signature->domain ne $asked->{domain};
        my $result = $signature->result;
        push @found, $result eq 'pass' ? 'pass' : $signature->result_detail;
    }
    push @verdicts, \@found;
}
print encode_json(\@verdicts);
