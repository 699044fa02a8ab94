// Sends the whole message that the job on standard input names with net/smtp.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/smtp"
	"os"
)

type job struct {
	Host        string
	Port        int
	Implicit    bool
	Mechanism   string
	Username    string
	Password    string
	CA          string
	ReturnPath  string `json:"return_path"`
	Recipients  []string
	MessageFile string `json:"message_file"`
}

// loginAuth is what programs write themselves, since the library has AUTH PLAIN only.
type loginAuth struct{ username, password string }

func (a loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("no login outside TLS")
	}
	return "LOGIN", nil, nil
}

func (a loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	if string(asked) == "Username:" {
		return []byte(a.username), nil
	}
	return []byte(a.password), nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var told job
	must(json.NewDecoder(os.Stdin).Decode(&told))
	authority, err := os.ReadFile(told.CA)
	must(err)
	message, err := os.ReadFile(told.MessageFile)
	must(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		must(errors.New("no certificate in " + told.CA))
	}
	trust := &tls.Config{RootCAs: roots, ServerName: told.Host}
	address := fmt.Sprintf("%s:%d", told.Host, told.Port)

	var client *smtp.Client
	if told.Implicit {
		connection, err := tls.Dial("tcp", address, trust)
		must(err)
		client, err = smtp.NewClient(connection, told.Host)
		must(err)
		must(client.Hello("go.example.com"))
	} else {
		client, err = smtp.Dial(address)
		must(err)
		must(client.Hello("go.example.com"))
		must(client.StartTLS(trust))
	}
	if told.Mechanism == "LOGIN" {
		must(client.Auth(loginAuth{told.Username, told.Password}))
	} else {
		must(client.Auth(smtp.PlainAuth("", told.Username, told.Password, told.Host)))
	}
	must(client.Mail(told.ReturnPath))
	for _, recipient := range told.Recipients {
		must(client.Rcpt(recipient))
	}
	content, err := client.Data()
	must(err)
	_, err = content.Write(message)
	must(err)
	must(content.Close())
	must(client.Quit())
}
