// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"reflect"
	"strings"
	"testing"
)

// What PHP makes of names. A proxy that removes a member's uid from a query
// and overlooks one of these has let it through.
func TestQueryIsReadAsPHPReadsIt(t *testing.T) {
	type a = phpArray
	for raw, want := range map[string]phpArray{
		"":                                   {},
		"uid=1":                              {"uid": "1"},
		"uid=1&uid=2":                        {"uid": "2"},
		"uid":                                {"uid": ""},
		"uid=a=b":                            {"uid": "a=b"},
		"&&uid=1&":                           {"uid": "1"},
		"UID=1&Con_Id=2":                     {"UID": "1", "Con_Id": "2"},
		"con.id=1":                           {"con_id": "1"},
		"con+id=1":                           {"con_id": "1"},
		"con%20id=1":                         {"con_id": "1"},
		"con%2Eid=1":                         {"con_id": "1"},
		"con%5Fid=1":                         {"con_id": "1"},
		"con[id=1":                           {"con_id": "1"},
		"con%5Bid=1":                         {"con_id": "1"},
		"con[i.d=1":                          {"con_i_d": "1"},
		"con_id=1&con.id=2":                  {"con_id": "2"},
		"con.id=1&con_id=2":                  {"con_id": "2"},
		"%20uid=1":                           {"uid": "1"},
		"++uid=1":                            {"uid": "1"},
		"uid+=1":                             {"uid_": "1"},
		"%75%69%64=1":                        {"uid": "1"},
		"uid%00x=1":                          {"uid": "1"},
		"uid%=%zz":                           {"uid%": "%zz"},
		"%=1":                                {"%": "1"},
		"u%69d=%31":                          {"uid": "1"},
		"uid[]=1":                            {"uid": a{"0": "1"}},
		"uid[]=1&uid[]=2":                    {"uid": a{"0": "1", "1": "2"}},
		"uid%5B%5D=1":                        {"uid": a{"0": "1"}},
		"uid[%20]=1":                         {"uid": a{"0": "1"}},
		"uid[x]=1":                           {"uid": a{"x": "1"}},
		"uid[x]y=1":                          {"uid": a{"x": "1"}},
		"uid[x]y[z]=1":                       {"uid": a{"x": "1"}},
		"uid[7]=1&uid[]=2":                   {"uid": a{"7": "1", "8": "2"}},
		"uid[]=1&uid=2":                      {"uid": "2"},
		"uid=2&uid[]=1":                      {"uid": a{"0": "1"}},
		"filters[id][operator]=%3E":          {"filters": a{"id": a{"operator": ">"}}},
		"filters[a.b][value]=1":              {"filters": a{"a.b": a{"value": "1"}}},
		"filters[id][operator]>=":            {"filters": a{"id": a{"operator": ""}}},
		"a[b][c=1":                           {"a": a{"b": "1"}},
		"[uid]=1":                            {},
		"=1":                                 {},
		"+=1":                                {},
		"uid=1;con_id=2":                     {"uid": "1;con_id=2"},
		"uid=%E2%82%AC+x":                    {"uid": "€ x"},
		strings.Repeat("x&", 999) + "uid=1":  {"x": "", "uid": "1"},
		strings.Repeat("x&", 1000) + "uid=1": {"x": ""}, // max_input_vars
		"a" + strings.Repeat("[b]", 65) + "=1&uid=2": nil,
	} {
		got := readQuery(raw)
		if want == nil {
			if got["uid"] != "2" {
				t.Errorf("%.60s: %v", raw, got)
			}
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.60s: %v, want %v", raw, got, want)
		}
	}
}
