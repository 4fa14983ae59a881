// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Connector is implemented by a provider whose people have to consent at the
// platform before anything can be done in their name. Its errors are a
// [*Refusal], or a fault that is answered as one.
type Connector interface {
	// BeginConsent begins somebody's way to consent.
	BeginConsent(ctx context.Context, j ConsentFlow) (*Authorization, error)

	// HandleCallback takes what the platform says that somebody has consented to, and
	// tells what it was. The body is bounded already. Its error's text is for the
	// log, and holds no secret and nobody's name. It wraps [ErrForged] for what
	// does not come from the platform.
	HandleCallback(ctx context.Context, r *http.Request) (CallbackKind, error)

	// CompleteConsent ends a journey in the browser that comes back. first tells whether
	// it has ended by that, also where the error says that somebody is not
	// connected by it. The error is [ErrPending] as long as the platform has not
	// told, and wraps [ErrElsewhere] for who cannot end it. The person may be
	// nobody.
	CompleteConsent(ctx context.Context, a Return) (first bool, err error)

	// ConsentStatus tells how it stands with somebody.
	ConsentStatus(ctx context.Context, who Person) (ConsentStatus, error)

	// Disconnect forgets all that somebody has consented to. It cannot be had back.
	Disconnect(ctx context.Context, who Person) error
}

// ConsentFlow is somebody's way to consent.
type ConsentFlow struct {
	Person
	// ReturnURL is where the browser is to come back to, as an address without a
	// query. The query parameter state is added.
	ReturnURL string
	// Update asks somebody who is connected for more.
	Update bool
	// BrowserToken is the token that the browser has from another journey, if any.
	BrowserToken Secret
	// AnyBrowser has it end in any browser in which the person is signed in, not
	// just the one that set out.
	AnyBrowser bool
	// Lifetime is how long it may take. Default: the provider's.
	Lifetime time.Duration
}

// Authorization is where somebody has to go.
type Authorization struct {
	// URL is the platform's page. It works once.
	URL string
	// QR is the same as an image, as a data URL; may be empty.
	QR string
	// BrowserToken is a token that has to come back with the browser. Empty if any
	// browser may come back.
	BrowserToken Secret
	// State is the query parameter state of the address that the browser is to
	// come back to. The browser must not be told.
	State Secret
	// Expires is when it is too late to consent.
	Expires time.Time
}

// Return is a browser that comes back.
type Return struct {
	Person
	// State is the query parameter state of the address that it comes to, and
	// Browser the token that it set out with; empty if it did not.
	State, BrowserToken string
	// AnyBrowser allows a journey to end here that may end in any browser.
	AnyBrowser bool
}

// ConsentEvent is what happens to somebody's consent, for the log and to be
// counted.
type ConsentEvent string

// What a provider notes by itself; the rest is known from what is asked of it.
const (
	// ConsentSuspended is a consent that the platform does not accept any more.
	ConsentSuspended ConsentEvent = "suspended"
	// ConsentResumed is one that it accepts after all.
	ConsentResumed ConsentEvent = "resumed"
)

// CallbackKind is what a platform has told.
type CallbackKind int

// What it was.
const (
	CallbackOther        CallbackKind = iota // of no consent, such as who somebody is
	CallbackConsent                          // by somebody, to be ended by their browser
	CallbackNotification                     // nothing is done with it
)

// ConsentStatus is how it stands with somebody.
type ConsentStatus string

// How it stands.
const (
	ConsentNone      ConsentStatus = "none"
	ConsentPending   ConsentStatus = "pending"
	ConsentConnected ConsentStatus = "connected"
	// ConsentUpdate is for somebody whose consent the platform does not accept
	// any more.
	ConsentUpdate ConsentStatus = "update_required"
)

var (
	// ErrPending says that the platform has not told yet.
	ErrPending = errors.New("the platform has not told yet")
	// ErrForeignFlow says that there is such a journey, and that it was begun by
	// somebody else, or in another browser.
	ErrForeignFlow = errors.New("the journey was begun by another user, or in another browser")
	// ErrForged says that something does not come from the platform.
	ErrForged = errors.New("this does not come from the platform")
)
