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
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

func callbackRequest(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/callback", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

// A key is tried by a dataset that the member has opened for good. What they
// want to be asked for each time, or have closed, would be refused whatever the
// key is; and no value that a callback holds is kept.
func TestCallbackReadable(t *testing.T) {
	const person = "uid=7&key=k&connection_id=7-1&linking_token=t&mydexid=m"
	field := func(dataset, what, value string) string {
		return "&" + url.QueryEscape("fields["+dataset+"][0][]["+what+"]") + "=" + url.QueryEscape(value)
	}
	for name, c := range map[string]struct{ kind, body string }{
		"form": {formType, person +
			field("ds_open", "access][r][a", "1") + field("ds_open", "access][r][s", "A") + field("ds_open", "value", "canary") +
			field("ds_asked", "access][r][a", "1") + field("ds_asked", "access][r][s", "R") +
			field("ds_closed", "access][r][a", "0") + field("ds_closed", "access][w][a", "1") + field("ds_bare", "access][r][a", "1")},
		"JSON": {jsonType, `{"uid":7,"key":"k","connection_id":"7-1","linking_token":"t","mydexid":"m","fields":{
			"ds_open":{"0":[{"name":{"value":"canary","access":{"r":{"a":"1","s":"A"}}}}]},
			"ds_asked":{"0":[{"access":{"r":{"a":1,"s":"R"}}}]},
			"ds_closed":[{"access":{"r":{"a":"0"},"w":{"a":"1"}}}],
			"ds_bare":{"instance_0":{"access":{"r":{"a":1}}}}}}`},
	} {
		w, err := readCallback(callbackRequest(c.kind, c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := &callback{uid: "7", key: "k", connectionID: "7-1", linkingToken: "t", mydexID: "m", readable: []string{"ds_bare", "ds_open"}}
		if !reflect.DeepEqual(w, want) || strings.Contains(fmt.Sprintf("%+v", w), "canary") {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

// What can be read in two ways is not taken: another reader may have seen
// another member in it.
func TestCallbackTwoReadings(t *testing.T) {
	for name, c := range map[string]struct{ kind, body string }{
		"a field twice":         {formType, "uid=1&uid=2&key=k"},
		"a field twice in JSON": {jsonType, `{"uid":"1","uid":"2"}`},
		"not a form":            {formType, "uid=%zz"},
		"semicolons":            {formType, "uid=1;key=k"},
		"two objects":           {jsonType, `{"uid":"1"}{"uid":"2"}`},
		"an array":              {jsonType, `[{"uid":"1"}]`},
		"cut off":               {jsonType, `{"uid":"1"`},
		"a number with a point": {jsonType, `{"uid":1.5}`},
		"an object for a name":  {jsonType, `{"uid":{"a":"1"}}`},
		"text":                  {"text/plain", "uid=1"},
		"no type":               {"", "uid=1"},
		"of many parts":         {"multipart/form-data; boundary=x", "--x--"},
		"JSON said to be form":  {formType, "%zz{}"},
	} {
		if w, err := readCallback(callbackRequest(c.kind, c.body)); err == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

// FuzzCallback looks for a callback that breaks the reader, or that is read
// otherwise the second time.
func FuzzCallback(f *testing.F) {
	f.Add(true, "uid=1&key=k&fields%5Bds%5D%5B0%5D%5B%5D%5Baccess%5D%5Br%5D%5Ba%5D=1")
	f.Add(false, `{"uid":1,"fields":{"ds":[{"access":{"r":{"a":"1"}}}]}}`)
	f.Fuzz(func(t *testing.T, form bool, body string) {
		kind := jsonType
		if form {
			kind = formType
		}
		w, err := readCallback(callbackRequest(kind, body))
		again, errAgain := readCallback(callbackRequest(kind, body))
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(w, again) {
			t.Fatalf("%+v and %+v", w, again)
		}
		if err != nil || !form {
			return
		}
		text, _ := url.QueryUnescape(body)
		if !slices.IsSorted(w.readable) || slices.ContainsFunc(w.readable, func(name string) bool { return !strings.Contains(text, "fields["+name+"]") }) {
			t.Fatalf("%q", w.readable)
		}
	})
}
