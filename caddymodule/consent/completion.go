// SPDX-License-Identifier: Apache-2.0

package consent

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// The end of a consent flow depends on three things: how the flow was begun, which
// grant its owner has in use by then, and the platform's verdict on the credential
// that it has handed over. [Complete] is the whole decision, and the package grants
// carries it out. Only one thing is found out while that is done: that the account
// belongs to another owner.

// Origin is how a flow was begun, as far as its end depends on that.
type Origin int

// The origins of flows.
const (
	// ConnectHere is to be completed in the browser that began it.
	ConnectHere Origin = iota
	// ConnectAnywhere may be completed in any browser: another person may have
	// opened the link, and consented with an account of their own.
	ConnectAnywhere
	// Update extends the consent of the account that is connected, in whatever
	// browser.
	Update
	// ConnectSource and UpdateSource are of a data source: on a shared device the
	// browser may still be signed in at the vendor as the person before, so that the
	// owner decides on another account.
	ConnectSource
	UpdateSource
	// Confirmed is a flow whose owner has decided for the account of its result.
	Confirmed
	origins
)

// Ownership is the grant that the owner of a flow has in use when the flow is
// completed. Same and Other compare its account with that of the flow's result.
// Newer grants were consented to later than the result, by the sequence of the
// database: the flow is that of an older tab.
type Ownership int

// The grants that an owner can have in use.
const (
	OwnsNothing Ownership = iota
	OwnsActiveSame
	OwnsActiveSameNewer
	OwnsActiveOther
	OwnsActiveOtherNewer
	OwnsSuspendedSame
	OwnsSuspendedSameNewer
	OwnsSuspendedOther
)

// Completion is the effect of a flow's end.
type Completion int

// The completions of a flow.
const (
	// UseProven makes the result the owner's active grant. One of the same account
	// is overwritten, because the platform has replaced its credential; one of
	// another account is retired.
	UseProven Completion = iota
	// UseUnproven makes the result the owner's active grant, and retires the former
	// one in any case: the new credential may turn out not to work.
	UseUnproven
	// UseSuspended makes the result the owner's grant, suspended, so that it is
	// probed again. The browser's user is told so.
	UseSuspended
	// KeepRetired keeps the result out of use, and leaves the owner's grant as it
	// is. The browser's user is told so.
	KeepRetired
	// DropOlder drops the result without an error: the owner's grant was consented
	// to later.
	DropOlder
	// DropUpdate drops the result, which extends the consent of an account that is
	// not connected.
	DropUpdate
	// DropOtherAccount drops the result, which would replace the connected account
	// by one that may be another person's: who means it disconnects first.
	DropOtherAccount
	// AskOwner keeps the result until the owner has decided between its account and the
	// connected one, and leaves the owner's grant as it is. One whose account belongs to
	// another owner is dropped.
	AskOwner
	// ReplaceOther makes the result the owner's active grant, and ends the former one,
	// of another account: it is deleted, and the platform told.
	ReplaceOther
)

// Completions has the completion for each [delegation.ProbeResult]: accepted,
// unknown, refused.
type Completions [3]Completion

// NeedsProbe tells whether the completion depends on the platform's verdict.
func (c Completions) NeedsProbe() bool {
	return c[delegation.ProbeAccepted] != c[delegation.ProbeRefused]
}

// Complete returns the completions of a flow.
func Complete(from Origin, owns Ownership) Completions { return completions[from][owns] }

// completions has the completion of every flow.
//
// In words: an accepted credential is used. A refused one never replaces a grant
// that works, nor a suspended one that may work again; it takes the place of a
// suspended grant only if it is the same account's later credential. An update
// never connects another account, and neither does a link that anybody may have
// opened, once an account is connected. At a data source the owner decides; the
// credential is not probed again then, an hour later at most.
var completions = [...][8]Completions{
	ConnectHere: {
		//                       accepted          unknown           refused
		OwnsNothing:            {UseProven, UseUnproven, UseSuspended},
		OwnsActiveSame:         {UseProven, UseUnproven, KeepRetired},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {UseProven, UseUnproven, KeepRetired},
		OwnsActiveOtherNewer:   {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedSame:      {UseProven, UseUnproven, UseSuspended},
		OwnsSuspendedSameNewer: {UseProven, UseUnproven, KeepRetired},
		OwnsSuspendedOther:     {UseProven, UseUnproven, KeepRetired},
	},
	ConnectAnywhere: {
		OwnsNothing:            {UseProven, UseUnproven, UseSuspended},
		OwnsActiveSame:         {UseProven, UseUnproven, KeepRetired},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {DropOtherAccount, DropOtherAccount, DropOtherAccount},
		OwnsActiveOtherNewer:   {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedSame:      {UseProven, UseUnproven, UseSuspended},
		OwnsSuspendedSameNewer: {UseProven, UseUnproven, KeepRetired},
		OwnsSuspendedOther:     {DropOtherAccount, DropOtherAccount, DropOtherAccount},
	},
	Update: {
		OwnsNothing:            {DropUpdate, DropUpdate, DropUpdate},
		OwnsActiveSame:         {UseProven, UseUnproven, KeepRetired},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {DropUpdate, DropUpdate, DropUpdate},
		OwnsActiveOtherNewer:   {DropUpdate, DropUpdate, DropUpdate},
		OwnsSuspendedSame:      {UseProven, UseUnproven, UseSuspended},
		OwnsSuspendedSameNewer: {UseProven, UseUnproven, KeepRetired},
		OwnsSuspendedOther:     {DropUpdate, DropUpdate, DropUpdate},
	},
	ConnectSource: {
		OwnsNothing:            {UseProven, UseUnproven, UseSuspended},
		OwnsActiveSame:         {UseProven, UseUnproven, KeepRetired},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {AskOwner, AskOwner, AskOwner},
		OwnsActiveOtherNewer:   {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedSame:      {UseProven, UseUnproven, UseSuspended},
		OwnsSuspendedSameNewer: {UseProven, UseUnproven, KeepRetired},
		OwnsSuspendedOther:     {AskOwner, AskOwner, AskOwner},
	},
	UpdateSource: {
		OwnsNothing:            {DropUpdate, DropUpdate, DropUpdate},
		OwnsActiveSame:         {UseProven, UseUnproven, KeepRetired},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {AskOwner, AskOwner, AskOwner},
		OwnsActiveOtherNewer:   {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedSame:      {UseProven, UseUnproven, UseSuspended},
		OwnsSuspendedSameNewer: {UseProven, UseUnproven, KeepRetired},
		OwnsSuspendedOther:     {AskOwner, AskOwner, AskOwner},
	},
	Confirmed: {
		OwnsNothing:            {UseUnproven, UseUnproven, UseUnproven},
		OwnsActiveSame:         {UseUnproven, UseUnproven, UseUnproven},
		OwnsActiveSameNewer:    {DropOlder, DropOlder, DropOlder},
		OwnsActiveOther:        {ReplaceOther, ReplaceOther, ReplaceOther},
		OwnsActiveOtherNewer:   {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedSame:      {UseUnproven, UseUnproven, UseUnproven},
		OwnsSuspendedSameNewer: {DropOlder, DropOlder, DropOlder},
		OwnsSuspendedOther:     {ReplaceOther, ReplaceOther, ReplaceOther},
	},
}
