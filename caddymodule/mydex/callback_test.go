// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	formWord = "application/x-www-form-urlencoded"
	jsonWord = "application/json; charset=utf-8"
)

func told(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/callback", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

// A key is tried by a dataset that the member has opened for good. What they
// want to be asked for each time, or have closed, would be refused whatever the
// key is; and no value that a callback holds is kept.
func TestWordReads(t *testing.T) {
	const person = "uid=7&key=k&connection_id=7-1&linking_token=t&mydexid=m"
	field := func(dataset, what, value string) string {
		return "&" + url.QueryEscape("fields["+dataset+"][0][]["+what+"]") + "=" + url.QueryEscape(value)
	}
	for name, c := range map[string]struct{ kind, body string }{
		"form": {formWord, person +
			field("ds_open", "access][r][a", "1") + field("ds_open", "access][r][s", "A") + field("ds_open", "value", "canary") +
			field("ds_asked", "access][r][a", "1") + field("ds_asked", "access][r][s", "R") +
			field("ds_closed", "access][r][a", "0") + field("ds_closed", "access][w][a", "1") + field("ds_bare", "access][r][a", "1")},
		"JSON": {jsonWord, `{"uid":7,"key":"k","connection_id":"7-1","linking_token":"t","mydexid":"m","fields":{
			"ds_open":{"0":[{"name":{"value":"canary","access":{"r":{"a":"1","s":"A"}}}}]},
			"ds_asked":{"0":[{"access":{"r":{"a":1,"s":"R"}}}]},
			"ds_closed":[{"access":{"r":{"a":"0"},"w":{"a":"1"}}}],
			"ds_bare":{"instance_0":{"access":{"r":{"a":1}}}}}}`},
	} {
		w, err := readWord(told(c.kind, c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := &word{uid: "7", key: "k", connectionID: "7-1", link: "t", mydexID: "m", reads: []string{"ds_bare", "ds_open"}}
		if !reflect.DeepEqual(w, want) || strings.Contains(fmt.Sprintf("%+v", w), "canary") {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

// What can be read in two ways is not taken: another reader may have seen
// another member in it.
func TestWordTwoReadings(t *testing.T) {
	for name, c := range map[string]struct{ kind, body string }{
		"a field twice":         {formWord, "uid=1&uid=2&key=k"},
		"a field twice in JSON": {jsonWord, `{"uid":"1","uid":"2"}`},
		"not a form":            {formWord, "uid=%zz"},
		"semicolons":            {formWord, "uid=1;key=k"},
		"two objects":           {jsonWord, `{"uid":"1"}{"uid":"2"}`},
		"an array":              {jsonWord, `[{"uid":"1"}]`},
		"cut off":               {jsonWord, `{"uid":"1"`},
		"a number with a point": {jsonWord, `{"uid":1.5}`},
		"an object for a name":  {jsonWord, `{"uid":{"a":"1"}}`},
		"text":                  {"text/plain", "uid=1"},
		"no type":               {"", "uid=1"},
		"of many parts":         {"multipart/form-data; boundary=x", "--x--"},
		"JSON said to be form":  {formWord, "%zz{}"},
	} {
		if w, err := readWord(told(c.kind, c.body)); err == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

// FuzzWord looks for a callback that breaks the reader, or that is read
// otherwise the second time.
func FuzzWord(f *testing.F) {
	f.Add(true, "uid=1&key=k&fields%5Bds%5D%5B0%5D%5B%5D%5Baccess%5D%5Br%5D%5Ba%5D=1")
	f.Add(false, `{"uid":1,"fields":{"ds":[{"access":{"r":{"a":"1"}}}]}}`)
	f.Fuzz(func(t *testing.T, form bool, body string) {
		kind := jsonWord
		if form {
			kind = formWord
		}
		w, err := readWord(told(kind, body))
		again, errAgain := readWord(told(kind, body))
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(w, again) {
			t.Fatalf("%+v and %+v", w, again)
		}
		if err != nil || !form {
			return
		}
		text, _ := url.QueryUnescape(body)
		if !slices.IsSorted(w.reads) || slices.ContainsFunc(w.reads, func(name string) bool { return !strings.Contains(text, "fields["+name+"]") }) {
			t.Fatalf("%q", w.reads)
		}
	})
}
