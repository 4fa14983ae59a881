// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Connector is implemented by a provider whose people have to consent at the
// platform before the provider may act for them. Errors of its methods are a
// [*Refusal], one of the errors below, or a fault that is answered as a refusal.
type Connector interface {
	// BeginConsent begins a consent flow and returns where the browser has to go.
	BeginConsent(ctx context.Context, flow ConsentFlow) (*Authorization, error)

	// HandleCallback handles a call of the platform's server, such as the one
	// that brings a consent, and returns its kind. The body is bounded already.
	// The error's text is for the log: it holds no secret and names nobody. It
	// wraps [ErrForged] if the call does not come from the platform.
	HandleCallback(ctx context.Context, r *http.Request) (CallbackKind, error)

	// CompleteConsent ends a consent flow in the browser that comes back. first
	// reports whether this call has ended it, even if the error says that the
	// person is not connected by it. The error is [ErrPending] until the
	// platform's callback has come, and wraps [ErrForeignFlow] for a person or
	// browser that may not end the flow. The person may be zero.
	CompleteConsent(ctx context.Context, ret Return) (first bool, err error)

	// ConsentStatus returns the state of a person's consent.
	ConsentStatus(ctx context.Context, person Person) (ConsentStatus, error)

	// Disconnect deletes for good all that a person has consented to.
	Disconnect(ctx context.Context, person Person) error
}

// ConsentFlow is one person's way to the platform's consent page and back, which
// is to begin.
type ConsentFlow struct {
	Person
	// ReturnURL is where the browser is to come back to: an absolute URL without
	// a query. The provider adds the query parameter state.
	ReturnURL string
	// Update asks a person who is connected already to consent to more.
	Update bool
	// BrowserToken is the token that the browser has from an earlier flow, if any.
	BrowserToken Secret
	// AnyBrowser lets the flow end in any browser in which the person is signed
	// in, not just in the one that began it.
	AnyBrowser bool
	// Lifetime is how long the flow may take. Default: the provider's.
	Lifetime time.Duration
}

// Authorization is a consent flow that has begun: where the browser has to go,
// and what it has to bring back.
type Authorization struct {
	// URL is the platform's consent page. It works once.
	URL string
	// QR is the URL as an image, in a data URL; may be empty.
	QR string
	// BrowserToken is a token that the browser has to bring back, as a cookie.
	// Empty if the flow may end in any browser.
	BrowserToken Secret
	// State is the value of the query parameter state of the return URL (RFC 6749
	// section 10.12). Only the platform is told, not the browser.
	State Secret
	// Expires is when the flow ends without consent.
	Expires time.Time
}

// Return is a browser that comes back from the platform.
type Return struct {
	Person
	// State is the query parameter state of the return URL, and BrowserToken the
	// token that the browser brings; empty if there is none.
	State, BrowserToken string
	// AnyBrowser allows a flow with [ConsentFlow.AnyBrowser] to end here.
	AnyBrowser bool
}

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
)

var (
	// ErrPending is the error of a flow whose callback has not come yet.
	ErrPending = errors.New("the platform's callback has not come yet")
	// ErrForeignFlow is the error for a flow that another person, or another
	// browser, has begun.
	ErrForeignFlow = errors.New("the consent flow was begun by another user, or in another browser")
	// ErrForged is the error of a callback that does not come from the platform.
	ErrForged = errors.New("the callback does not come from the platform")
)
