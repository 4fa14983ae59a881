// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"testing"
)

func TestK5_SetRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		retry, reset []string
		want         string
	}{
		"seconds":           {nil, []string{"1740"}, "1740"},
		"with blanks":       {nil, []string{" 12\t"}, "12"},
		"leading zeros":     {nil, []string{"0030"}, "30"},
		"now":               {nil, []string{"0"}, "1"},
		"an hour":           {nil, []string{"3600"}, "3600"},
		"more than an hour": {nil, []string{"3601"}, "3600"},
		"a date in seconds": {nil, []string{"1795779150"}, "3600"},
		"beyond 64 bits":    {nil, []string{"99999999999999999999999"}, "3600"},
		"empty before":      {[]string{""}, []string{"7"}, "7"},
		"the platform's":    {[]string{"5"}, []string{"1740"}, "5"},
		"its date":          {[]string{"Fri, 27 Nov 2026 12:00:00 GMT"}, []string{"1740"}, "Fri, 27 Nov 2026 12:00:00 GMT"},
		"negative":          {nil, []string{"-3"}, ""},
		"fraction":          {nil, []string{"1.5"}, ""},
		"two in one":        {nil, []string{"1, 2"}, ""},
		"two":               {nil, []string{"1", "2"}, ""},
		"word":              {nil, []string{"soon"}, ""},
		"digits elsewhere":  {nil, []string{"٣"}, ""},
		"empty":             {nil, []string{""}, ""},
		"none":              {nil, nil, ""},
	} {
		h := http.Header{}
		if tt.retry != nil {
			h["Retry-After"] = tt.retry
		}
		if tt.reset != nil {
			h["Ratelimit-Reset"] = tt.reset
		}
		SetRetryAfter(h)
		if got := h.Get("Retry-After"); got != tt.want || len(h["Retry-After"]) > 1 {
			t.Errorf("%s: %q, want %q", name, h["Retry-After"], tt.want)
		}
	}
}
