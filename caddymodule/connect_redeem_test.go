// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestReadHanded protects providers from bodies of which two readers could have two
// opinions, and memory from large ones: an object or a form with each name once,
// of which the strings are handed on and nothing else.
func TestReadHanded(t *testing.T) {
	const jsonType, formType = "application/json", "application/x-www-form-urlencoded; charset=UTF-8"
	large := strings.Repeat("x", maxHandedBody)
	for name, c := range map[string]struct {
		kind, body string
		want       string          // of the field specialToken
		code       delegation.Code // of the refusal
	}{
		"an object":             {jsonType, `{"specialToken":"a b","humanId":"h"}`, "a b", ""},
		"without a type":        {"", `{"specialToken":"a"}`, "a", ""},
		"a form":                {formType, "specialToken=a+b&humanId=h", "a b", ""},
		"escapes":               {jsonType, `{"special\u0054oken":"\u0061"}`, "a", ""},
		"empty object":          {jsonType, `{}`, "", ""},
		"empty form":            {formType, "", "", ""},
		"a number":              {jsonType, `{"specialToken":1}`, "", ""},
		"null":                  {jsonType, `{"specialToken":null}`, "", ""},
		"a list":                {jsonType, `{"specialToken":["a"]}`, "", ""},
		"an object within":      {jsonType, `{"specialToken":{"specialToken":"a"}}`, "", ""},
		"empty":                 {jsonType, "", "", delegation.TokenRejected},
		"null alone":            {jsonType, "null", "", delegation.TokenRejected},
		"a number alone":        {jsonType, "1", "", delegation.TokenRejected},
		"a string alone":        {jsonType, `"specialToken"`, "", delegation.TokenRejected},
		"an array":              {jsonType, `[{"specialToken":"a"}]`, "", delegation.TokenRejected},
		"twice":                 {jsonType, `{"specialToken":"a","specialToken":"b"}`, "", delegation.TokenRejected},
		"twice, one escaped":    {jsonType, `{"specialToken":"a","special\u0054oken":"b"}`, "", delegation.TokenRejected},
		"twice in a form":       {formType, "specialToken=a&specialToken=b", "", delegation.TokenRejected},
		"a damaged form":        {formType, "specialToken=%zz", "", delegation.TokenRejected},
		"damaged":               {jsonType, `{"specialToken":"a"`, "", delegation.TokenRejected},
		"something behind":      {jsonType, `{"specialToken":"a"}{}`, "", delegation.TokenRejected},
		"a form's type, object": {formType, `{"specialToken":"a"}`, "", ""},
		"other parts":           {"multipart/form-data; boundary=x", "--x\r\n\r\na\r\n--x--", "", delegation.TokenRejected},
		"64 KiB":                {jsonType, `{"specialToken":"` + large[:maxHandedBody-len(`{"specialToken":""}`)] + `"}`, large[:maxHandedBody-len(`{"specialToken":""}`)], ""},
		"a byte more":           {jsonType, `{"specialToken":"` + large[:maxHandedBody-len(`{"specialToken":""}`)+1] + `"}`, "", delegation.BodyTooLarge},
		"1 MB":                  {formType, "specialToken=" + strings.Repeat(large, 16), "", delegation.BodyTooLarge},
	} {
		r := httptest.NewRequest("POST", "/redeem", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		handed, err := readHanded(httptest.NewRecorder(), r)
		if c.code != "" {
			if err == nil || delegation.AsRefusal(err).Code != c.code || strings.Contains(errors.Unwrap(err).Error(), "specialToken") {
				t.Errorf("%s: %v: %v; want %s", name, err, errors.Unwrap(err), c.code)
			}
			continue
		}
		if err != nil || handed.Get("specialToken") != c.want {
			t.Errorf("%s: %q, %v; want %q", name, handed.Get("specialToken"), err, c.want)
		}
	}
	r := httptest.NewRequest("POST", "/redeem", iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := readHanded(httptest.NewRecorder(), r); delegation.AsRefusal(err).Code != delegation.BodyIncomplete {
		t.Errorf("cut off: %v", err)
	}
}
