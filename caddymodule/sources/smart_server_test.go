// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// fhirServer is a FHIR server with its authorization server, as strict as SMART App
// Launch 2.2 lets it be. It refuses a request with 400 or 401, and says in t why.
type fhirServer struct {
	*httptest.Server
	t      *testing.T
	auth   ClientAuth
	secret string
	keys   jose.JSONWebKeySet // the client's, as it was registered
	scope  string             // that is granted
	iss    bool               // says that each redirect has it

	mu      sync.Mutex
	jti     map[string]bool
	page    url.Values // the query of the last page
	revoked []string
	refresh int
}

const fhirReturn = "https://app.example/connect/return/st_mary"

func newFHIRServer(t *testing.T, auth ClientAuth) *fhirServer {
	t.Helper()
	s := &fhirServer{t: t, auth: auth, secret: "s€cret :+", scope: "launch/patient patient/*.cruds offline_access", jti: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /R4/.well-known/smart-configuration", func(w http.ResponseWriter, _ *http.Request) {
		s.write(w, map[string]any{
			"authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/R4/auth/token", "revocation_endpoint": "/revoke",
			"introspection_endpoint": s.URL + "/R4/auth/introspect", "management_endpoint": "/R4/auth/manage", "registration_endpoint": 1,
			"issuer": s.URL, "authorization_response_iss_parameter_supported": s.iss, "code_challenge_methods_supported": []string{"S256"}, "capabilities": []string{"launch-standalone", "client-confidential-asymmetric"},
		})
	})
	mux.HandleFunc("POST /R4/auth/token", s.token)
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		if s.authenticate(w, r) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.revoked = append(s.revoked, r.PostForm.Get("token")+" "+r.PostForm.Get("token_type_hint"))
		}
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *fhirServer) write(w http.ResponseWriter, all map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(all); err != nil {
		s.t.Error(err)
	}
}

// refuse answers with an error of RFC 6749 section 5.2.
func (s *fhirServer) refuse(w http.ResponseWriter, code string, why ...any) bool {
	s.t.Helper()
	s.t.Log(append([]any{code}, why...)...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"error":%q}`, code)
	return false
}

// authenticate checks the client by the one way that it was registered for.
func (s *fhirServer) authenticate(w http.ResponseWriter, r *http.Request) bool {
	s.t.Helper()
	if err := r.ParseForm(); err != nil {
		return s.refuse(w, "invalid_request", err)
	}
	user, password, basic := r.BasicAuth()
	assertion, secret := r.PostForm.Get("client_assertion"), r.PostForm.Get("client_secret")
	if secret != "" || basic != (s.auth == ClientAuthBasic) || (assertion != "") != (s.auth == ClientAuthKey) {
		return s.refuse(w, "invalid_client", "another way")
	}
	switch s.auth {
	case ClientAuthBasic:
		if user != "portal" || password != url.QueryEscape(s.secret) {
			return s.refuse(w, "invalid_client", "id or secret")
		}
		return true
	case ClientAuthKey:
		return s.checkAssertion(w, assertion, r.PostForm.Get("client_assertion_type"))
	default:
		return r.PostForm.Get("client_id") == "portal" || s.refuse(w, "invalid_client", "no client_id")
	}
}

func (s *fhirServer) checkAssertion(w http.ResponseWriter, assertion, kind string) bool {
	s.t.Helper()
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil || kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return s.refuse(w, "invalid_client", kind, err)
	}
	keys := s.keys.Key(jws.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		return s.refuse(w, "invalid_client", "unknown kid")
	}
	payload, err := jws.Verify(keys[0])
	if err != nil {
		return s.refuse(w, "invalid_client", err)
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		ID       string `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return s.refuse(w, "invalid_client", err)
	}
	now := time.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if claims.Issuer != "portal" || claims.Subject != "portal" || claims.Audience != s.URL+"/R4/auth/token" || claims.Expires <= now || claims.Expires > now+300 || s.jti[claims.ID] {
		return s.refuse(w, "invalid_client", claims)
	}
	s.jti[claims.ID] = true
	return true
}

// token exchanges the code "code" of the last page, or the last refresh token.
func (s *fhirServer) token(w http.ResponseWriter, r *http.Request) {
	if !s.authenticate(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if r.PostForm.Get("code") != "code" || r.PostForm.Get("redirect_uri") != s.page.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(challenge[:]) != s.page.Get("code_challenge") {
			s.refuse(w, "invalid_grant", r.PostForm)
			return
		}
	case "refresh_token":
		if r.PostForm.Get("refresh_token") != fmt.Sprint("refresh", s.refresh) {
			s.refuse(w, "invalid_grant", r.PostForm)
			return
		}
	default:
		s.refuse(w, "unsupported_grant_type")
		return
	}
	s.refresh++
	s.write(w, map[string]any{
		"access_token": fmt.Sprint("access", s.refresh), "refresh_token": fmt.Sprint("refresh", s.refresh), "token_type": "bearer", "expires_in": 300,
		"scope": s.scope, "patient": "smart-1642068", "need_patient_banner": true,
	})
}

// consent is somebody on the server's page who has agreed; it returns what the browser
// brings back.
func (s *fhirServer) consent(page string) url.Values {
	s.t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "portal", "redirect_uri": fhirReturn, "code_challenge_method": "S256",
		"aud": s.URL + "/R4/", "scope": "launch/patient patient/*.rs offline_access",
	} {
		if got := s.page[name]; len(got) != 1 || got[0] != want {
			s.t.Errorf("%s of the page is %q", name, got)
		}
	}
	return url.Values{"code": {"code"}, "state": {s.page.Get("state")}, "iss": {s.URL}}
}

// source opens a source of the server.
func (s *fhirServer) source(change func(*Config)) *oauth2Source {
	s.t.Helper()
	c := fhirSource(s.t, s.URL+"/R4/")
	c.ClientAuth = s.auth
	if s.auth == ClientAuthBasic {
		c.ClientSecret = delegation.NewSecret(s.secret)
	}
	if change != nil {
		change(c)
	}
	if err := c.Validate(); err != nil {
		s.t.Fatal(err)
	}
	p, err := newOAuth2(c)
	if err != nil {
		s.t.Fatal(err)
	}
	client := new(delegation.HTTP).Client()
	s.t.Cleanup(client.CloseIdleConnections)
	p.open(sourceHost{client: client, logger: zap.NewNop(), tokens: func(delegation.Mint) delegation.Tokens { return nil }})
	source, ok := p.(*oauth2Source)
	if !ok {
		s.t.Fatalf("%T", p)
	}
	return source
}
