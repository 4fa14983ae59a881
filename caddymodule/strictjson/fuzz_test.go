// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-jose/go-jose/v4/json"
)

// FuzzDecode looks for texts that are read in another way than by the decoder of
// go-jose, which verifies the headers of the same tokens, up to the depth that is read.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"b":[1,{"c":null}],"d":true}`, `{"a":"\ud800","b":-1.5e7}`, `{"a":{"b":1,"b":2}}`, "{\"\xff\":1,\"\xfe\":2}", `{"a":1,"A":2} `, `{}{}`, `{"a":[}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Decode(text)
		if errors.Is(err, errDepth) {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.SetNumberType(json.UnmarshalJSONNumber)
		var want map[string]any
		wantErr := decoder.Decode(&want)
		if wantErr == nil && want == nil {
			wantErr = errNoObject // null
		}
		if _, end := decoder.Token(); wantErr == nil && !errors.Is(end, io.EOF) {
			wantErr = errMore
		}
		if (err == nil) != (wantErr == nil) || err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
	})
}
