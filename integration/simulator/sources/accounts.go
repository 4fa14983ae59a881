// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"strconv"
)

// Account is a person's account at the vendor.
type Account struct {
	ID   string `json:"id"` // of digits, where the vendor's IDs are numbers
	Name string `json:"name"`
	// Patients are those whose records the account opens, at a FHIR server: the
	// person, and perhaps a child.
	Patients []Patient `json:"patients,omitempty"`
}

// Patient is a person in a hospital's records.
type Patient struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Check returns what is wrong with an account.
func (a *Account) Check() error {
	if a.ID == "" || a.Name == "" {
		return errors.New("id or name is missing")
	}
	return nil
}

// firstID is the first sample account's ID: beyond 2^53. A client that reads
// numbers as floating point takes the first two for one.
const firstID = 1 << 53

// SampleAccounts makes up accounts, each with two patients; the same n gives the
// same ones.
func SampleAccounts(n int) []Account {
	names := []string{"Ada", "Ben", "Cleo", "Dana", "Elin"}
	all := make([]Account, n)
	for i := range all {
		name := names[i%len(names)]
		if i >= len(names) {
			name += " " + strconv.Itoa(i/len(names)+1)
		}
		all[i] = Account{ID: strconv.Itoa(firstID + i), Name: name, Patients: []Patient{
			{fmt.Sprintf("pat-%04d-a", i+1), name}, {fmt.Sprintf("pat-%04d-b", i+1), name + "'s child"},
		}}
	}
	return all
}

// account returns an account by its ID.
func (v *Vendor) account(id string) (Account, bool) {
	for _, a := range v.accounts {
		if a.ID == id {
			return a, true
		}
	}
	return Account{}, false
}
