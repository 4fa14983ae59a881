// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The secrets of the tests' vendor: none of them may stand in an error or a log line.
const (
	canaryClient       = "canary-client&secret"
	canaryRequest      = "canary-request secret"
	canaryTokenSecret  = "canary+token/secret"
	canaryVerifier     = "canary-verifier"
	canarySignedToken  = "canary-signed-token"
	canaryRequestToken = "canary-request-token"
)

// signedCall is a request whose signature the vendor has found good.
type signedCall struct {
	method, uri string
	protocol    map[string]string
	body        string
}

// oauth1Vendor is a vendor that verifies every signature, by code that has nothing in
// common with what makes them.
type oauth1Vendor struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	sha256 bool
	silent bool          // refusals have no oauth_problem
	ahead  time.Duration // of the vendor's clock
	answer http.HandlerFunc
	nonces map[string]bool
	calls  []signedCall
}

func newOAuth1Vendor(t *testing.T) *oauth1Vendor {
	v := &oauth1Vendor{t: t, nonces: make(map[string]bool)}
	v.server = httptest.NewServer(v)
	t.Cleanup(v.server.Close)
	return v
}

// set changes the vendor.
func (v *oauth1Vendor) set(change func(*oauth1Vendor)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
}

// seen returns what has come with a good signature since it was asked last.
func (v *oauth1Vendor) seen() []signedCall {
	v.mu.Lock()
	defer v.mu.Unlock()
	calls := v.calls
	v.calls = nil
	return calls
}

// ServeHTTP is the vendor.
func (v *oauth1Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(v.ahead).UTC().Format(http.TimeFormat))
	body, _ := io.ReadAll(r.Body)
	protocol, problem := v.verify(r, string(body))
	if problem != "" {
		if !v.silent {
			w.Header().Set("WWW-Authenticate", `OAuth oauth_problem="`+problem+`"`)
		}
		http.Error(w, canaryClient, http.StatusUnauthorized)
		return
	}
	v.calls = append(v.calls, signedCall{r.Method, r.RequestURI, protocol, string(body)})
	switch {
	case v.answer != nil:
		v.answer(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/oauth/request_token":
		fmt.Fprintf(w, "oauth_token=%s&oauth_token_secret=%s&oauth_callback_confirmed=true\n", canaryRequestToken, url.QueryEscape(canaryRequest))
	case r.Method == http.MethodPost && r.URL.Path == "/oauth/access_token":
		if protocol["oauth_verifier"] != canaryVerifier {
			http.Error(w, "oauth_problem=verifier_invalid", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "oauth_token=%s&oauth_token_secret=%s&userid=4711", canarySignedToken, url.QueryEscape(canaryTokenSecret))
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"user":{"id":9007199254740993,"name":"Ada"}}`)
	}
}

// verify verifies a request (RFC 5849 section 3.2).
func (v *oauth1Vendor) verify(r *http.Request, body string) (protocol map[string]string, problem string) {
	protocol = make(map[string]string)
	var all [][2]string
	add := func(name, value string) {
		if strings.HasPrefix(name, "oauth_") {
			if _, twice := protocol[name]; twice {
				problem = "parameter_rejected"
			}
			protocol[name] = value
		}
		if name != "oauth_signature" {
			all = append(all, [2]string{rfc3986(name), rfc3986(value)})
		}
	}
	if rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth "); ok {
		for field := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			plain, err := url.PathUnescape(strings.Trim(value, `"`))
			if err != nil {
				return nil, "parameter_rejected"
			}
			add(name, plain)
		}
	}
	forms := []string{r.URL.RawQuery}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		forms = append(forms, body)
	}
	for _, form := range forms {
		values, err := url.ParseQuery(form)
		if err != nil {
			return nil, "parameter_rejected"
		}
		for name := range values {
			for _, value := range values[name] {
				add(name, value)
			}
		}
	}
	if problem != "" {
		return nil, problem
	}
	secret, known := map[string]string{"": "", canaryRequestToken: canaryRequest, canarySignedToken: canaryTokenSecret}[protocol["oauth_token"]]
	if !known {
		return nil, "token_rejected"
	}
	newHash, method := sha1.New, "HMAC-SHA1"
	if v.sha256 {
		newHash, method = func() hash.Hash { return sha256.New() }, "HMAC-SHA256"
	}
	if protocol["oauth_consumer_key"] != "app" {
		return nil, "consumer_key_unknown"
	}
	if protocol["oauth_signature_method"] != method || protocol["oauth_version"] != "1.0" {
		return nil, "signature_method_rejected"
	}
	slices.SortFunc(all, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	var pairs []string
	for _, p := range all {
		pairs = append(pairs, p[0]+"="+p[1])
	}
	base := r.Method + "&" + rfc3986("http://"+r.Host+r.URL.EscapedPath()) + "&" + rfc3986(strings.Join(pairs, "&"))
	mac := hmac.New(newHash, []byte(rfc3986(canaryClient)+"&"+rfc3986(secret)))
	_, _ = io.WriteString(mac, base)
	if base64.StdEncoding.EncodeToString(mac.Sum(nil)) != protocol["oauth_signature"] {
		return nil, "signature_invalid"
	}
	at, err := strconv.ParseInt(protocol["oauth_timestamp"], 10, 64)
	if err != nil || time.Since(time.Unix(at, 0).Add(-v.ahead)).Abs() > 5*time.Minute {
		return nil, "timestamp_refused"
	}
	if nonce := protocol["oauth_nonce"]; nonce == "" || v.nonces[nonce] {
		return nil, "nonce_used"
	}
	v.nonces[protocol["oauth_nonce"]] = true
	return maps.Clone(protocol), ""
}

// rfc3986 encodes as RFC 5849 section 3.6.
func rfc3986(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
