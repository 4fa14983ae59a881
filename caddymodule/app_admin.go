// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// maxAdminBody is the most bytes that the body of an admin request may have. A
// purge of the longest names has a few kilobytes.
const maxAdminBody = 64 << 10

// adminAPI are the routes below /delegate/ of Caddy's admin endpoint: the state
// of the providers, the latest refusals, purges, and consent flows that an
// operator begins for somebody. It has no state of its own: Caddy makes one for each configuration
// before the apps, and never cleans it up.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.delegate",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements [caddy.AdminRouter].
func (a adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/delegate/status", Handler: caddy.AdminHandlerFunc(a.status)},
		{Pattern: "/delegate/refusals", Handler: caddy.AdminHandlerFunc(a.refusals)},
		{Pattern: "/delegate/purge", Handler: caddy.AdminHandlerFunc(a.purge)},
		{Pattern: "/delegate/journeys", Handler: caddy.AdminHandlerFunc(a.startConsent)},
	}
}

// activeApp returns the app of the running configuration, for a request by the
// one method that its route has. Its error is a [caddy.APIError], 405 or 404.
func activeApp(w http.ResponseWriter, r *http.Request, method string) (*App, error) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method not allowed: use %s", method)}
	}
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	return app, nil
}

// readAdminRequest reads a POST with one JSON object of type T; fields names its
// fields, for errors. It returns the running configuration's app as well. Its
// error is a [caddy.APIError].
//
// The content type has to be JSON against cross-site request forgery: a page of
// another site can post a form or plain text to localhost without a preflight,
// and no JSON.
func readAdminRequest[T any](w http.ResponseWriter, r *http.Request, fields string) (*App, *T, error) {
	app, err := activeApp(w, r, http.MethodPost)
	if err != nil {
		return nil, nil, err
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return nil, nil, badRequest(errors.New("send the header Content-Type: application/json"))
	}
	request, err := decodeAdminRequest[T](http.MaxBytesReader(w, r.Body, maxAdminBody), fields)
	if err != nil {
		return nil, nil, badRequest(err)
	}
	return app, request, nil
}

// decodeAdminRequest decodes one JSON object of type T; an empty body is the
// zero value. Its errors quote nothing of the body: Caddy logs them, and the
// body names a person.
func decodeAdminRequest[T any](body io.Reader, fields string) (*T, error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	var request *T
	err := d.Decode(&request)
	if errors.Is(err, io.EOF) {
		return new(T), nil
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
	}
	if err != nil || request == nil {
		return nil, errors.New("the body is no JSON object of " + fields)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object: send one")
	}
	return request, nil
}

// badRequest is an error that Caddy's admin endpoint answers with status 400.
func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

// Interface guards
var _ caddy.AdminRouter = adminAPI{}
