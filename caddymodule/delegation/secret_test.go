// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestSecretDoesNotPrint protects tokens and keys from whoever prints a value
// that holds one, exported field or not.
func TestSecretDoesNotPrint(t *testing.T) {
	const value = "hunter2-7f3a"
	s := NewSecret(value)
	type outer struct {
		Public  Secret
		private Secret
		Pointer *Token
	}
	o := outer{s, s, &Token{Access: s}}
	var out bytes.Buffer
	for _, v := range []any{s, &s, o, &o, []Secret{s}, map[string]Secret{"k": s}, Bearer{o.Pointer}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
		zap.New(core).Info("x", zap.Any("v", v), zap.Reflect("r", v))
	}
	if strings.Contains(out.String(), value) || strings.Contains(out.String(), fmt.Sprintf("%x", value)) {
		t.Errorf("the secret was printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "REDACTED") {
		t.Error("nothing was printed")
	}
	if s.Reveal() != value || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not tell the value")
	}
}

// TestBearer protects the header: one value, ours, and nothing that could
// begin another header.
func TestBearer(t *testing.T) {
	out, _ := http.NewRequest(http.MethodGet, "https://x", nil)
	out.Header["Authorization"] = []string{"Bearer forged", "Basic forged"}
	if err := (Bearer{&Token{Access: NewSecret("t")}}).Apply(out); err != nil {
		t.Fatal(err)
	}
	if got := out.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer t" {
		t.Errorf("Authorization %q", got)
	}
	for _, bad := range []string{"a\r\nX: y", "a\x00b", "a\nb"} {
		if err := (Bearer{&Token{Access: NewSecret(bad)}}).Apply(out); err == nil {
			t.Errorf("%q was sent", bad)
		} else if strings.Contains(err.Error(), bad) {
			t.Errorf("the error holds the token")
		}
	}
}

// TestRefusals protects the table of the README: every code has a status, a
// meaning and a sentence, and its text is the code alone.
func TestRefusals(t *testing.T) {
	cause := fmt.Errorf("participant 42 said no")
	for code := range detailsByCode {
		r := Refuse(code, cause)
		if r.Status() < 400 || r.ProxyError() == "" || r.Message() == "" || r.Error() != string(code) {
			t.Errorf("%s: %d %q %q %q", code, r.Status(), r.ProxyError(), r.Message(), r.Error())
		}
		r.RetryAfter = time.Hour
		wait := r.BoundedRetryAfter()
		if r.Status() == http.StatusServiceUnavailable != (wait == MaxRetryAfter) && r.Status() != http.StatusTooManyRequests {
			t.Errorf("%s: wait %s", code, wait)
		}
	}
	if got := AsRefusal(cause); got.Code != IssuerUnavailable || got.Status() != 503 || got.BoundedRetryAfter() != DefaultRetryAfter {
		t.Errorf("a fault became %+v", got)
	}
	if got := AsRefusal(fmt.Errorf("while: %w", Refuse(ConsentRequired, nil))); got.Code != ConsentRequired {
		t.Errorf("a wrapped refusal became %s", got.Code)
	}
}

// TestLoadCAs protects against CVE-2026-27586: a file without certificates
// must not pass for trusting everybody.
func TestLoadCAs(t *testing.T) {
	for _, file := range []string{"absent.pem", "secret_test.go"} {
		if pool, err := LoadCAs(file); err == nil || pool != nil {
			t.Errorf("%s was loaded", file)
		}
	}
}
