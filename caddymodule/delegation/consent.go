// SPDX-License-Identifier: Apache-2.0

package delegation

import "errors"

// ConsentEvent is a change of a person's consent, as logs and metrics name it.
type ConsentEvent string

// The events that a provider reports by itself. The others follow from calls of
// its methods.
const (
	// ConsentSuspended is the event of a consent that the platform does not
	// accept any more.
	ConsentSuspended ConsentEvent = "suspended"
	// ConsentResumed is the event of a suspended consent that it accepts again.
	ConsentResumed ConsentEvent = "resumed"
)

// CallbackKind is the kind of a callback of the platform.
type CallbackKind int

// The kinds of callbacks.
const (
	CallbackOther        CallbackKind = iota // not about a consent, such as who a member is
	CallbackConsent                          // a consent, which the person's browser has to complete
	CallbackNotification                     // ignored
)

// ConsentStatus is the state of a person's consent, as the frontend is told it.
type ConsentStatus string

// The states of a person's consent.
const (
	ConsentNone      ConsentStatus = "none"      // no consent, and no flow under way
	ConsentPending   ConsentStatus = "pending"   // a flow is under way
	ConsentConnected ConsentStatus = "connected" // there is a grant
	// ConsentUpdate is the state of a grant that the platform does not accept any
	// more: the person has to consent again.
	ConsentUpdate ConsentStatus = "update_required"
	// ConsentConfirm is the state of a person who has come back with another account
	// of a data source than the connected one, and has to decide between the two.
	ConsentConfirm ConsentStatus = "confirm"
	// ConsentEnded is the state of a data source whose vendor has ended it.
	ConsentEnded ConsentStatus = "ended"
)

var (
	// ErrPending is the error of a flow whose callback has not come yet.
	ErrPending = errors.New("the platform's callback has not come yet")
	// ErrConfirm is the error of a flow whose account is another than the connected
	// one: it waits for the person's decision.
	ErrConfirm = errors.New("another account is connected: the person has to decide between the two")
	// ErrForeignFlow is the error for a flow that another person, or another
	// browser, has begun.
	ErrForeignFlow = errors.New("the consent flow was begun by another user, or in another browser")
	// ErrForged is the error of a callback that does not come from the platform.
	ErrForged = errors.New("the callback does not come from the platform")
)
