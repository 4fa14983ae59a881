// SPDX-License-Identifier: Apache-2.0

package grants

// The end of a consent flow depends on three things: how the flow was begun, which
// grant its owner has in use by then, and the platform's verdict on the credential
// that it has handed over. [completions] is the whole decision, and
// [Store.applyResult] carries it out. Only one thing is found out while that is
// done: that the account belongs to another owner, see [Store.putInUse].

// flowOrigin is how a flow was begun, as far as its end depends on that.
type flowOrigin int

// The origins of flows.
const (
	// connectHere is to be completed in the browser that began it.
	connectHere flowOrigin = iota
	// connectAnywhere may be completed in any browser: another person may have
	// opened the link, and consented with an account of their own.
	connectAnywhere
	// update extends the consent of the account that is connected, in whatever
	// browser.
	update
)

// ownership is the grant that the owner of a flow has in use when the flow is
// completed. Same and Other compare its account with that of the flow's result.
// Newer grants were consented to later than the result, by the sequence of the
// database: the flow is that of an older tab.
type ownership int

// The grants that an owner can have in use.
const (
	ownsNothing ownership = iota
	ownsActiveSame
	ownsActiveSameNewer
	ownsActiveOther
	ownsActiveOtherNewer
	ownsSuspendedSame
	ownsSuspendedSameNewer
	ownsSuspendedOther
)

// completion is the effect of a flow's end.
type completion int

// The completions of a flow.
const (
	// useProven makes the result the owner's active grant. One of the same account
	// is overwritten, because the platform has replaced its credential; one of
	// another account is retired.
	useProven completion = iota
	// useUnproven makes the result the owner's active grant, and retires the former
	// one in any case: the new credential may turn out not to work.
	useUnproven
	// useSuspended makes the result the owner's grant, suspended, so that it is
	// probed again. The error is [ErrProbeRefused].
	useSuspended
	// keepRetired keeps the result out of use, and leaves the owner's grant as it
	// is. The error is [ErrProbeRefused].
	keepRetired
	// dropOlder drops the result without an error: the owner's grant was consented
	// to later.
	dropOlder
	// dropUpdate drops the result, which extends the consent of an account that is
	// not connected. The error is [ErrNotFound].
	dropUpdate
	// dropOtherAccount drops the result, which would replace the connected account
	// by that of another person who has opened a link. The error is
	// [ErrOtherAccount].
	dropOtherAccount
)

// probeRow has the completion for each [ProbeResult]: accepted, unknown, refused.
type probeRow [3]completion

// needsProbe tells whether the completion depends on the platform's verdict.
func (r probeRow) needsProbe() bool { return r[ProbeAccepted] != r[ProbeRefused] }

// completions has the completion of every flow.
//
// In words: an accepted credential is used. A refused one never replaces a grant
// that works, nor a suspended one that may work again; it takes the place of a
// suspended grant only if it is the same account's later credential. An update
// never connects another account, and neither does a link that anybody may have
// opened once an account is connected.
var completions = [...][8]probeRow{
	connectHere: {
		//                       accepted          unknown           refused
		ownsNothing:            {useProven, useUnproven, useSuspended},
		ownsActiveSame:         {useProven, useUnproven, keepRetired},
		ownsActiveSameNewer:    {dropOlder, dropOlder, dropOlder},
		ownsActiveOther:        {useProven, useUnproven, keepRetired},
		ownsActiveOtherNewer:   {dropOlder, dropOlder, dropOlder},
		ownsSuspendedSame:      {useProven, useUnproven, useSuspended},
		ownsSuspendedSameNewer: {useProven, useUnproven, keepRetired},
		ownsSuspendedOther:     {useProven, useUnproven, keepRetired},
	},
	connectAnywhere: {
		ownsNothing:            {useProven, useUnproven, useSuspended},
		ownsActiveSame:         {useProven, useUnproven, keepRetired},
		ownsActiveSameNewer:    {dropOlder, dropOlder, dropOlder},
		ownsActiveOther:        {dropOtherAccount, dropOtherAccount, dropOtherAccount},
		ownsActiveOtherNewer:   {dropOlder, dropOlder, dropOlder},
		ownsSuspendedSame:      {useProven, useUnproven, useSuspended},
		ownsSuspendedSameNewer: {useProven, useUnproven, keepRetired},
		ownsSuspendedOther:     {dropOtherAccount, dropOtherAccount, dropOtherAccount},
	},
	update: {
		ownsNothing:            {dropUpdate, dropUpdate, dropUpdate},
		ownsActiveSame:         {useProven, useUnproven, keepRetired},
		ownsActiveSameNewer:    {dropOlder, dropOlder, dropOlder},
		ownsActiveOther:        {dropUpdate, dropUpdate, dropUpdate},
		ownsActiveOtherNewer:   {dropUpdate, dropUpdate, dropUpdate},
		ownsSuspendedSame:      {useProven, useUnproven, useSuspended},
		ownsSuspendedSameNewer: {useProven, useUnproven, keepRetired},
		ownsSuspendedOther:     {dropUpdate, dropUpdate, dropUpdate},
	},
}

// completionRow returns the row of [completions] for a flow whose result is g, and
// whose owner has inUse; nil if nothing.
func (f *storedFlow) completionRow(g, inUse *Grant) probeRow {
	return completions[f.origin()][ownershipOf(g, inUse)]
}

// origin is how the flow was begun.
func (f *storedFlow) origin() flowOrigin {
	switch {
	case f.kind == FlowUpdate:
		return update
	case f.browser == "":
		return connectAnywhere
	default:
		return connectHere
	}
}

// ownershipOf compares the grant that an owner has in use with the result of a
// flow.
func ownershipOf(result, inUse *Grant) ownership {
	if inUse == nil {
		return ownsNothing
	}
	same, newer := inUse.Account == result.Account, inUse.sequence > result.sequence
	if inUse.State != Active {
		newer = inUse.sequence >= result.sequence // of equals the one that was suspended stays so
	}
	switch active := inUse.State == Active; {
	case active && same && newer:
		return ownsActiveSameNewer
	case active && same:
		return ownsActiveSame
	case active && newer:
		return ownsActiveOtherNewer
	case active:
		return ownsActiveOther
	case same && newer:
		return ownsSuspendedSameNewer
	case same:
		return ownsSuspendedSame
	default:
		return ownsSuspendedOther
	}
}
