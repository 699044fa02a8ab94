"""the configuration of a private Postfix, with holes for names and numbers"""

from __future__ import annotations

MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = {hostname}
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
smtpd_peername_lookup = no
alias_maps =
alias_database =
biff = no
append_dot_mydomain = no
smtp_line_length_limit = 0
message_size_limit = 104857600
mailbox_size_limit = 0
smtpd_relay_restrictions = {relay_restrictions}
smtpd_recipient_restrictions =
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
{extra}pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
store unix - n n - - pipe
  flags=q user=nobody eol=\\r\\n argv={home}/store ${{queue_id}} ${{sender}} ${{recipient}}
"""

LOGINS = {
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_type": "cyrus",
    "smtpd_sasl_path": "smtpd",
    "cyrus_sasl_config_path": "{home}/config/sasl",
    "smtpd_sasl_local_domain": "{hostname}",
    "smtpd_sasl_security_options": "noanonymous",
}
"""Settings of main.cf under which clients log in, with the names in a sasldb."""

LOGIN_FILES = {
    # Debian's Postfix looks below the configuration directory, whatever the setting says.
    "config/sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
    "sasldb_path: {home}/sasldb2\nmech_list: PLAIN LOGIN\n"
}

STORE = """\
#!/bin/sh
# Writes one message and its envelope; renamed last, so that a listing never shows half a message.
name=$1
shift
cat > "{home}/stored/.$name.$$" || exit 75
printf '%s\\n' "$@" > "{home}/stored/$name.$$.envelope" || exit 75
mv "{home}/stored/.$name.$$" "{home}/stored/$name.$$.message" || exit 75
"""
