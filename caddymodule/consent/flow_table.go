// SPDX-License-Identifier: Apache-2.0

package consent

// actions has the action for every mode, state and event; those that are not named
// are [Gone].
var actions = [modes][states][events]Action{
	// The platform's server may call twice, and in any order with the browser. Nothing
	// is redeemed.
	ByCallback: {
		Open: {
			Called: Stage, Returned: Wait, Denied: Fail,
		},
		Redeeming: {},
		Lapsed:    {},
		Staged: {
			CalledAgain: Keep, Returned: Finish, Denied: Keep,
		},
		Confirm: {
			CalledAgain: Keep, Returned: Again, Denied: Keep,
			Accepted: Finish, Declined: Drop,
		},
		Done: {
			CalledAgain: Keep, Returned: Again, Denied: Keep,
			Accepted: Again, Declined: Again,
		},
		Expired: {
			CalledAgain: Keep,
			Declined:    Drop,
		},
	},
	// A code is redeemed once, whatever browser, person or machine brings it: after an
	// outcome that nobody knows the person begins anew.
	ByRedirect: {
		Open: {
			Returned: Wait, Denied: Fail,
			Claimed: Claim, ClaimedForeign: Spent,
		},
		Redeeming: {
			Returned: Wait, Denied: Keep,
			Claimed: Busy, ClaimedAgain: Busy, ClaimedRefused: Busy, ClaimedForeign: Busy,
			Redeemed: Finish, RedeemedAway: Stage, Refused: Fail, Left: Lapse,
		},
		Lapsed: {
			Denied:   Fail,
			Redeemed: Finish, RedeemedAway: Stage, Refused: Fail, Left: Lapse,
		},
		Staged: {
			Returned: Finish, Denied: Keep,
			Claimed: Again, ClaimedAgain: Again, ClaimedRefused: Again, ClaimedForeign: Again,
			Redeemed: Finish, RedeemedAway: Keep, Refused: Keep, Left: Keep,
		},
		Confirm: {
			Returned: Again, Denied: Keep,
			Claimed: Again, ClaimedAgain: Again, ClaimedRefused: Again, ClaimedForeign: Again,
			Redeemed: Again, RedeemedAway: Keep, Refused: Keep, Left: Keep,
			Accepted: Finish, Declined: Drop,
		},
		Done: {
			Returned: Again, Denied: Keep,
			Claimed: Again, ClaimedAgain: Again, ClaimedRefused: Again, ClaimedForeign: Again,
			Redeemed: Again, Refused: Keep, Left: Keep,
			Accepted: Again, Declined: Again,
		},
		Expired: {
			Redeemed: Finish, RedeemedAway: Stage, Refused: Fail, Left: Keep,
			Declined: Drop,
		},
	},
	// A token that was refused gives way to another. After an outcome that nobody knows
	// the same token may be tried again, and only in this flow. The page or the ticket
	// works once: after a grant only the same token is answered, with the same.
	ByPage: {
		Open: {
			Returned: Wait, Denied: Fail,
			Claimed: Claim, ClaimedAgain: Claim, ClaimedRefused: Rejected, ClaimedForeign: Spent,
			Redeemed: Finish, Refused: Keep, Left: Keep,
		},
		Redeeming: {
			Returned: Wait, Denied: Keep,
			Claimed: Busy, ClaimedAgain: Busy, ClaimedRefused: Rejected, ClaimedForeign: Spent,
			Redeemed: Finish, Refused: Reopen, Left: Lapse,
		},
		Lapsed: {
			Denied:       Fail,
			ClaimedAgain: Claim, ClaimedRefused: Rejected, ClaimedForeign: Spent,
			Redeemed: Finish, Refused: Reopen, Left: Lapse,
		},
		Staged: {
			Returned: Finish, Denied: Keep,
			ClaimedAgain: Again,
			Redeemed:     Finish, Refused: Keep, Left: Keep,
		},
		Confirm: {
			Returned: Again, Denied: Keep,
			ClaimedAgain: Again,
			Redeemed:     Again, Refused: Keep, Left: Keep,
			Accepted: Finish, Declined: Drop,
		},
		Done: {
			Returned: Again, Denied: Keep,
			ClaimedAgain: Again, ClaimedRefused: Rejected, ClaimedForeign: Spent,
			Redeemed: Again, Refused: Keep, Left: Keep,
			Accepted: Again, Declined: Again,
		},
		Expired: {
			ClaimedRefused: Rejected, ClaimedForeign: Spent,
			Redeemed: Finish, Refused: Reopen, Left: Keep,
			Declined: Drop,
		},
	},
}
