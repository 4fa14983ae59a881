// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxAnswer bounds what is read of the platform's answer, in bytes, decompressed.
const maxAnswer = 64 << 10

// field is a field of a request's body.
type field struct{ name, value string }

// answer is what the platform has answered. Its body is never part of a text: it
// may repeat the client secret, or name a person.
type answer struct {
	status     int
	retryAfter time.Duration
	body       []byte
	isHTML     bool
	isTooLarge bool
}

// clientSecret returns the client secret as it is now.
func (p *Provider) clientSecret() delegation.Secret {
	if p.config.LoadSecret == nil {
		return p.config.ClientSecret
	}
	fresh, err := p.config.LoadSecret()
	if err != nil {
		p.host.Logger().Warn("client_secret cannot be read; the one from before is used: " + err.Error())
		return p.config.ClientSecret
	}
	return fresh
}

// post sends fields to one of the platform's addresses. The error says why there is
// no answer, and wraps [delegation.ErrNotSent] if the platform cannot have got them.
func (p *Provider) post(ctx context.Context, address string, fields []field) (*answer, error) {
	var body []byte
	contentType := "application/json"
	if p.config.Body == BodyForm {
		form := make(url.Values, len(fields))
		for _, f := range fields {
			form.Set(f.name, f.value)
		}
		body, contentType = []byte(form.Encode()), "application/x-www-form-urlencoded"
	} else {
		object := make(map[string]string, len(fields))
		for _, f := range fields {
			object[f.name] = f.value
		}
		var err error
		if body, err = json.Marshal(object); err != nil {
			return nil, fmt.Errorf("%w: the request cannot be made", delegation.ErrNotSent)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the address cannot be made", delegation.ErrNotSent)
	}
	req.Header.Set("Content-Type", contentType)
	return p.send(req)
}

// get asks one of the platform's addresses with a person's credential.
func (p *Provider) get(ctx context.Context, address string, c *Credential) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address cannot be made")
	}
	if err := c.Apply(req); err != nil {
		return nil, err
	}
	return p.send(req)
}

// send sends a request, once, and reads the answer.
func (p *Provider) send(req *http.Request) (*answer, error) {
	req.Header.Set("Accept", "application/json")
	res, err := p.client.Do(req) //nolint:gosec // the operator's own address
	if err != nil {
		// Of err's own text nothing: it holds the address, and with it the token.
		if neterror.NotSent(err) {
			return nil, fmt.Errorf("%w: %s", delegation.ErrNotSent, neterror.Cause(err))
		}
		return nil, errors.New(neterror.Cause(err))
	}
	defer func() { _ = res.Body.Close() }()
	a := &answer{status: res.StatusCode, retryAfter: oauth.RetryAfter(res.Header, time.Now())}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err != nil {
		return nil, errors.New(neterror.Cause(err))
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	a.isHTML = strings.Contains(kind, "html") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
	a.isTooLarge = len(a.body) > maxAnswer
	return a, nil
}

// unreachable is the refusal for a call that got no answer.
func unreachable(setting string, err error) *delegation.Refusal {
	return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("%s: %w", setting, err))
}

// members returns the members of a successful answer. An error member makes it
// none: some platforms answer their errors with status 200.
func (a *answer) members() (map[string]any, error) {
	switch {
	case a.isTooLarge:
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	case a.isHTML:
		return nil, errors.New("the answer is a page, not JSON: check the address")
	}
	all, err := strictjson.Decode(a.body)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	for _, name := range []string{"error", "errors"} {
		if strictjson.ReportsError(all[name]) {
			return nil, fmt.Errorf("a successful answer has the member %s", name)
		}
	}
	return all, nil
}
