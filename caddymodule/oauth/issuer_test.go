// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const plantedSecret = "planted-secret"

// testIssuer answers every request the same way.
type testIssuer struct {
	status  int
	header  http.Header
	body    string
	err     error
	took    time.Duration // before the answer
	request *http.Request
	form    url.Values
	calls   int
}

func (i *testIssuer) RoundTrip(req *http.Request) (*http.Response, error) {
	i.calls++
	i.request = req
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if i.form, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	if i.took > 0 {
		select {
		case <-time.After(i.took):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if i.err != nil {
		return nil, i.err
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	maps.Copy(header, i.header)
	return &http.Response{
		StatusCode: i.status, Status: fmt.Sprint(i.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(i.body)), Request: req,
	}, nil
}

func (i *testIssuer) requestToken(t *testing.T) (*delegation.Token, error) {
	t.Helper()
	c := &Client{URL: "https://issuer.example/token", HTTP: &http.Client{Transport: i, Timeout: 10 * time.Second}}
	return c.Token(t.Context(), Request{
		GrantType: "delegated_participant",
		ClientID:  "client", ClientSecret: delegation.NewSecret(plantedSecret),
		Scopes: []string{"Participant:read", "SurveyAnswers:read"},
		Params: url.Values{"participant_id": {"planted-person"}, "token": {plantedSecret}},
	})
}

func goodResponse(change string) string {
	return `{"access_token":"0123456789abcdef0123456789abcdef","token_type":"bearer","expires_in":3600` + change + `}`
}

// asError also checks that nothing planted is in the text.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *Error: %v", err, err)
	}
	for _, s := range []string{e.Error(), fmt.Sprintf("%v %+v", err, err), fmt.Sprint(errors.Unwrap(e.Refusal()))} {
		if strings.Contains(s, "planted") {
			t.Errorf("%q repeats the answer or the request", s)
		}
	}
	if _, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		t.Error("the error holds x/oauth2's, which prints the body")
	}
	return e
}
