// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A parameter that PHP reads as one of the member's would make the request
// somebody else's (T54).
func TestT54_PHPNames(t *testing.T) {
	const other = "4021"
	for _, name := range []string{
		"uid", "con_id", "key", "source_type", "api_key", "connection_token", "access_token", "q", "_method",
		// percent-encoding
		"%6bey", "%6Bey", "k%65y", "con%5Fid", "con%5fid", "%75%69%64", "%71",
		// dots and spaces become underscores
		"con.id", "con%2Eid", "con id", "con+id", "con%20id", "source.type", "source+type", "api.key", "access.token", ".method", "%20.method",
		// an index: the name ends before it
		"uid[]", "uid[x]", "uid[x][y]", "uid%5B%5D", "uid%5bx%5d", "key[0]", "con.id[]", "con+id[a]", "uid[ ]", "uid[+]", "uid[]x", "con_id[]]",
		// an unclosed index becomes an underscore
		"con[id", "con%5bid", "con%5Bid", "source[type", "api[key", "access[token", "connection[token",
		// in doubt, it ends the name all the same
		"uid[", "uid[x", "key[0", "uid]", "[uid]", "%5Buid%5D",
		// blanks
		"+uid", "++uid", "%20uid", "%20%20key", "%09uid", "%0Auid", "%0D%0Aq", "uid+", "uid%20", "%20con.id", "+con[id",
		// NUL
		"uid%00", "uid%00x", "uid%00[x]", "con.id%00.json", "key%00=", "%00uid%00",
		// without a value
		"uid", "key%00", "con.id",
		// case
		"UID", "Uid", "KEY", "Con_Id", "CON.ID", "Source_Type", "API_KEY", "_METHOD", "Q",
		// Unicode's case: Kelvin sign, long s
		"%E2%84%AAey", "\u212aey", "%C5%BFource_type", "api_\u212aey",
		// other separators within names
		"con-id", "api-key", "access-token", "con%2Did", "con~id",
		// decoded once more on the way
		"%256bey", "con%255Fid", "con%252Eid", "uid%255B%255D", "%25256bey", "%2575id%2500",
		// separators within a name
		"x%26uid", "x%3Buid", "x%26uid%3D5%26y", "x%2526uid",
		// malformed
		"uid%", "%u006bey", "key%zz", "%", "%F5id", "uid%FF",
	} {
		for _, raw := range []string{
			name, name + "=", name + "=" + other, name + "=" + other + "&" + name + "=" + other,
		} {
			if strings.Contains(raw, " ") { // as it never stands in a query
				if _, err := stripReserved(raw); code(err) != delegation.PathAmbiguous {
					t.Errorf("strip(%q): %v", raw, err)
				}
				continue
			}
			for query, want := range map[string]string{
				raw:                                  "",
				"dataset=a+b&" + raw:                 "dataset=a+b",
				raw + "&instance=0":                  "instance=0",
				"dataset=a+b&" + raw + "&instance=0": "dataset=a+b&instance=0",
			} {
				if got, err := stripReserved(query); err != nil || got != want {
					t.Errorf("strip(%q) = %q, %v; want %q", query, got, err, want)
				}
			}
		}
	}
}

// Where a server divides at ";" as well, one parameter holds several.
func TestT54_SemicolonAsSeparator(t *testing.T) {
	for raw, want := range map[string]string{
		"a=1;uid=5":           "",
		"uid=5;a=1":           "",
		"a;con.id;b":          "",
		"x=1&a=1;+%6bey=5&y":  "x=1&y",
		"x=1&a=1;b=2&y":       "x=1&a=1;b=2&y",
		"a=%3Buid%3D5":        "a=%3Buid%3D5",
		"a=1;b=uid":           "a=1;b=uid",
		"x=1;y=2;Con%5Bid=ab": "",
	} {
		if got, err := stripReserved(raw); err != nil || got != want {
			t.Errorf("strip(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

// What only looks like it belongs to the platform's own parameters, whose
// spelling means something there.
func TestOtherParametersStayByteForByte(t *testing.T) {
	for _, raw := range []string{
		"", "&", "&&", "a", "a&", "&a", "=", "=uid", "a=uid", "a==b", "a=%zz", "a=%", "a=\xff", "a=%00uid=5",
		"dataset=field_ds_home+field_ds_personal_details&instance=0",
		"dataset=ds_referrals&filters[id][operator]>=",
		"filters[id][operator]=>=&filters[id][value]=7",
		"filters%5Bid%5D%5Boperator%5D=%3E%3D&filters%5Bkey%5D%5Bvalue%5D=uid",
		"filters[uid][value]=1&filters[key]&filters[con_id]=2",
		"id=55&context=c&context_id=12&conversation_id=referral-123",
		"feature_block=secure_messages&feature_block_id=9",
		"con[id]=1&con[id]x=2&con=3",
		"uuid=1&uidx=1&xuid=1&u_id=1&keys=1&monkey=1&keyword=1&con__id=1&conid=1&con_id_=1&cons_id=1&source=1&type=1&sourcetype=1",
		"method=1&__method=1&_methods=1&qq=1&q1=1&question=1&apikey=1&token=1&connection=1",
		"a=1&a=2&a=1&b[]=1&b[]=2&b.c=3&b+c=4&b%20c=5",
		"memo=x%26uid%3D5&message=%2526key%253D1",
		"%C3%BC=1&ü=2&\u30ad\u30fc=3", "a%25=1",
	} {
		if got, err := stripReserved(raw); err != nil || got != raw {
			t.Errorf("strip(%q) = %q, %v", raw, got, err)
		}
	}
}

// Some servers end the query at such a byte, and would not come to what we
// put behind it.
func TestQueryEndsNowhereEarly(t *testing.T) {
	for _, c := range []string{"\x00", "\t", "\n", "\r", " ", "#", "\x7f"} {
		_, err := stripReserved("a=1" + c + "b=2")
		if code(err) != delegation.PathAmbiguous {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// A server that reads only the first parameters would not come to ours.
func TestTooManyParameters(t *testing.T) {
	for _, sep := range []string{"&", ";"} {
		if got, err := stripReserved(strings.Repeat("a"+sep, maxParameters-1) + "a"); err != nil || len(got) != 2*maxParameters-1 {
			t.Errorf("%d are refused: %v", maxParameters, err)
		}
		if _, err := stripReserved(strings.Repeat("a"+sep, maxParameters) + "a"); code(err) != delegation.RouteDenied {
			t.Errorf("%d are let through: %v", maxParameters+1, err)
		}
	}
}

func TestStripOfUsualQueryDoesNotAllocate(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := stripReserved("dataset=ds_referrals&instance=0&context_id=12&b=%20+"); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func code(err error) delegation.Code {
	if r, ok := errors.AsType[*delegation.Refusal](err); ok {
		return r.Code
	}
	return ""
}
