// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxImportLine bounds a line of an import, in bytes.
const maxImportLine = 64 << 10

// importFields are the fields of a line.
var importFields = []string{"realm", "subject", "account", "label", "scopes", "refresh_token", "access_token", "token_secret", "redirect_uri"}

// nextImportLine reads a line, without spaces around it. Of one that is too long it keeps
// no more than what tells so. The error is [io.EOF] behind the last line.
func nextImportLine(in *bufio.Reader) (line []byte, err error) {
	for more := true; more; {
		var part []byte
		if part, more, err = in.ReadLine(); errors.Is(err, io.EOF) && line != nil {
			break
		} else if err != nil {
			return nil, err
		}
		line = append(line, part[:min(len(part), maxImportLine+1-len(line))]...)
	}
	if len(line) > maxImportLine {
		return line, nil
	}
	return bytes.TrimSpace(line), nil
}

// parseImportLine reads a line: one JSON object. Its errors hold nothing of the line, not
// even the name of a field that is none: it has secrets, and names a person.
func parseImportLine(text []byte) (*delegation.GrantImport, error) {
	if len(text) > maxImportLine {
		return nil, fmt.Errorf("it is longer than %d bytes", maxImportLine)
	}
	all, err := strictjson.Decode(text)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	i := new(delegation.GrantImport)
	for name, value := range all {
		switch text, isText := value.(string); {
		case !slices.Contains(importFields, name):
			return nil, errors.New("it has a field that is none of " + strings.Join(importFields, ", "))
		case name == "scopes":
			if i.Scopes, err = importScopes(value); err != nil {
				return nil, err
			}
		case !isText || text == "":
			return nil, errors.New(name + " is no text, or empty: leave out what there is not")
		default:
			values[name] = text
		}
	}
	for _, name := range []string{"realm", "subject"} {
		if !delegation.IsLine(values[name], maxImportLine) {
			return nil, fmt.Errorf("%s is missing, or holds control characters: realm and subject are the app's names of the user; without app_session the realm is %s", name, DefaultRealm)
		}
	}
	i.Person = delegation.Person{Realm: values["realm"], Subject: values["subject"]}
	i.Account, i.Label, i.RedirectURI = values["account"], values["label"], values["redirect_uri"]
	for name, to := range map[string]*delegation.Secret{"refresh_token": &i.Refresh, "access_token": &i.Access, "token_secret": &i.AccessSecret} {
		if values[name] != "" {
			*to = delegation.NewSecret(values[name])
		}
	}
	return i, nil
}

// importScopes reads the scopes of a line: a list of texts without spaces.
func importScopes(value any) ([]string, error) {
	list, ok := value.([]any)
	scopes := make([]string, 0, len(list))
	for _, item := range list {
		scope, isText := item.(string)
		ok = ok && isText && delegation.IsLine(scope, 1024) && !strings.Contains(scope, " ")
		scopes = append(scopes, scope)
	}
	if !ok {
		return nil, errors.New("scopes is no list of texts without spaces")
	}
	return scopes, nil
}
