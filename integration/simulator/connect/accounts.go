// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Account is a person at the platform.
type Account struct {
	UserCode string `json:"userCode"`
	Name     string `json:"name"`
}

// Check returns what is wrong with an account.
func (a *Account) Check() error {
	if a.UserCode == "" {
		return errors.New("userCode is missing")
	}
	return nil
}

// SampleAccounts makes up accounts; the same n gives the same ones.
func SampleAccounts(n int) []Account {
	names := []string{"Ada", "Ben", "Cleo", "Dana", "Elin"}
	all := make([]Account, n)
	for i := range all {
		name := names[i%len(names)]
		if i >= len(names) {
			name += " " + strconv.Itoa(i/len(names)+1)
		}
		all[i] = Account{UserCode: fmt.Sprintf("uc-%08x-%04d", uint32(i+1)*2654435761, i+1), Name: name}
	}
	return all
}

// accounts are the people, who stay the same.
type accounts struct {
	all    []Account
	byCode map[string]int
}

func newAccounts(all []Account) *accounts {
	s := &accounts{all: all, byCode: make(map[string]int, len(all))}
	for i, a := range all {
		s.byCode[a.UserCode] = i
	}
	if len(s.byCode) < len(all) {
		panic("connect: two accounts have one user code")
	}
	return s
}

// firstNumber is the first account's number where IDs are numbers: 2^53. A
// client that reads numbers as floating point takes the first two for one.
const firstNumber = 1 << 53

// find returns an account by its ID, as text or number.
func (s *accounts) find(id string) (Account, bool) {
	if i, ok := s.byCode[id]; ok {
		return s.all[i], true
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && n >= firstNumber && n-firstNumber < int64(len(s.all)) {
		return s.all[n-firstNumber], true
	}
	return Account{}, false
}

// text is the ID that a person has at the platform, as the settings spell it.
func (s *accounts) text(settings *Settings, userCode string) string {
	if settings.UserCode == "number" {
		return strconv.Itoa(firstNumber + s.byCode[userCode])
	}
	return userCode
}

// idForms are the bad forms of an ID in an answer, by the name that they have in
// [Settings].
var idForms = map[string]func(id string) any{
	"number": number,
	"null":   func(string) any { return nil },
	"absent": func(string) any { return absent{} },
	"empty":  func(string) any { return "" },
	"huge":   func(id string) any { return id + strings.Repeat("x", 10<<10-len(id)) },
	"object": func(id string) any { return map[string]string{"id": id} },
	"array":  func(id string) any { return []string{id} },
	"crlf":   func(id string) any { return id + "\r\nX-Injected: yes" },
}

// number is an ID as a number. Of a text that is none, one is made up.
func number(id string) any {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return int64(firstNumber) + int64(vary(1<<20, id))
	}
	return json.Number(id)
}

// absent is a value whose field is left out.
type absent struct{}

// label is the name that is shown of an account.
func (a *Account) label() string { return cmp.Or(a.Name, a.UserCode) }
