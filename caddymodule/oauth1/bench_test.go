// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"net/http"
	"testing"
)

// BenchmarkSign is what a data call costs beyond a bearer token.
func BenchmarkSign(b *testing.B) {
	client := &Client{ID: "dpf43f3p2l4k3l03", Secret: secret("kd94hf93k423kf44"), Method: HMACSHA1, Clock: new(Clock)}
	token := Token{secret("nnch734d00sl2jdk"), secret("pfkkdhi9sl3r4s00")}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://api.example/rest/weights?format=json&date=20783&method=weights.get_month.v2", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Sign(req, token); err != nil {
			b.Fatal(err)
		}
	}
}
