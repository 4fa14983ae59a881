// SPDX-License-Identifier: Apache-2.0

package consent

// A flow's way is a table: [Next] returns what an event does to a flow, by how its
// outcome comes and by the state that it is in. The package grants carries it out,
// in one transaction for each event.

// Mode is how the outcome of a flow comes.
type Mode int

// The modes of flows.
const (
	// ByCallback flows end by a call of the platform's server.
	ByCallback Mode = iota
	// ByRedirect flows end by a code in the address that the browser comes back to.
	ByRedirect
	// ByPage flows end by a one-time token that the app's page or an app posts.
	ByPage
	modes
)

// State is how far a flow is, by the database's clock.
type State int

// The states of flows.
const (
	// Open flows were begun.
	Open State = iota
	// Redeeming flows are claimed by who redeems a token, and the deadline of the
	// claim has not passed.
	Redeeming
	// Lapsed flows were claimed by somebody who has not said how it ended: the
	// token may have been redeemed.
	Lapsed
	// Staged flows have a result, which waits for their owner.
	Staged
	// Confirm flows have a result of another account than the connected one: it waits
	// for the owner's decision between the two, for an hour.
	Confirm
	// Done flows have ended: with a grant, or with a reason.
	Done
	// Expired flows had not ended when it was too late, nor was it decided on their
	// result. They are deleted some time later.
	Expired
	states
)

// Event is what happens to a flow.
type Event int

// The events of flows.
const (
	// Called is a call of the platform's server with a result. CalledAgain has the
	// one that the flow has already, CalledOtherwise another one.
	Called Event = iota
	CalledAgain
	CalledOtherwise

	// Returned is the browser that has begun the flow, with its owner signed in and
	// with nothing to redeem.
	Returned
	// Denied is the same with the platform's word that there will be no result.
	Denied

	// Claimed is a token that is brought to be redeemed, and that nobody has
	// brought before. ClaimedAgain is one that this flow has claimed before,
	// ClaimedRefused one that the platform has then refused, and ClaimedForeign one
	// that another flow has claimed.
	Claimed
	ClaimedAgain
	ClaimedRefused
	ClaimedForeign

	// Redeemed is the result of a claim, whether or not it is the present one: a
	// credential is never thrown away because it comes late. RedeemedAway is one
	// whose owner was not there.
	Redeemed
	RedeemedAway
	// Refused is the platform's last word on the token of the present claim. Left
	// is the end of the present claim without any. From a claim that was overtaken
	// by another they are no events.
	Refused
	Left

	// Accepted is the owner's decision for the account of the result, in place of the
	// connected one. Declined is the one against it, or the end of the time to decide.
	Accepted
	Declined
	events
)

// Action is what is done to a flow, and what the caller is told.
type Action int

// The actions.
const (
	// Gone changes nothing: there is no such flow, or no longer. The person has to
	// begin anew.
	Gone Action = iota
	// Keep changes nothing, and is no error.
	Keep
	// Stage keeps the result, and the flow is staged.
	Stage
	// Wait changes nothing: the outcome is not there yet.
	Wait
	// Finish puts the result into use, as [Complete] says, and the flow is done; or it
	// is in confirm, and the result waits.
	Finish
	// Again changes nothing: the caller is told what the flow has led to.
	Again
	// Claim makes the caller the one who redeems, and the flow is redeeming.
	Claim
	// Busy changes nothing: somebody redeems at this moment.
	Busy
	// Spent changes nothing: the token is that of another flow.
	Spent
	// Rejected changes nothing: the caller is told why the platform has refused the
	// token.
	Rejected
	// Reopen notes that the token was refused, and the flow is open for another.
	Reopen
	// Fail ends the flow with a reason: it is done.
	Fail
	// Lapse ends the claim: the flow is lapsed.
	Lapse
	// Drop ends the flow without its result, of which the platform is told: it is done.
	Drop
)

// Next returns the action for an event.
func Next(m Mode, s State, e Event) Action { return actions[m][s][e] }
