// SPDX-License-Identifier: Apache-2.0

// Package connect acts for people at a data platform with a Connect widget: a
// developer console in whose popup a person shares their data with an app.
//
// The widget gives the page a one-time token. The server exchanges it, with the
// client secret, for the person's account at the platform and an access token,
// which the person's requests carry from then on.
//
// # Binding
//
// The browser brings the one-time token, so it may bring somebody else's. Whoever
// posts another person's token must not get that person's data: the account counts
// only if the platform says that the widget was opened with the identifier that
// the host has made for the person who is signed in ([Binding]).
package connect
