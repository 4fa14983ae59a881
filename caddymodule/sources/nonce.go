// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// AuthNonce is the authentication of a [Call] whose form the client signs, with a nonce
// that it asks for before: Withings' ("Sign your requests").
const AuthNonce = "nonce"

// nonceFields are those of a form that the signature brings.
var nonceFields = []string{"client_id", "nonce", "timestamp", "signature"}

// checkNonce checks what belongs to [AuthNonce]. The error begins with the setting's
// name.
func (c *Call) checkNonce(setting string) error {
	switch {
	case (c.Auth == AuthNonce) != (c.NonceURL != ""):
		return fmt.Errorf("%s: auth nonce and nonce_url belong together: write both", setting)
	case c.Auth != AuthNonce:
		return nil
	case c.Method != http.MethodPost || c.Form["action"] == "" || strings.Contains(c.Form["action"], "{"):
		return fmt.Errorf("%s: auth nonce signs the form of a POST: write `form action`, with the vendor's word", setting)
	case strings.Contains(c.NonceURL, "{"):
		return fmt.Errorf("%s: nonce_url has no values in it", setting)
	}
	for _, name := range nonceFields {
		if _, ok := c.Form[name]; ok {
			return fmt.Errorf("%s: form %s is what auth nonce adds: remove the line", setting, name)
		}
	}
	return nil
}

// signed returns a call with [AuthNonce] whose form is signed with a nonce of its own,
// and its values.
func (p *oauth2Source) signed(ctx context.Context, call *Call, values map[string]string) (*Call, map[string]string, error) {
	nonce, err := p.nonce(ctx, call.NonceURL)
	if err != nil {
		return nil, nil, fmt.Errorf("the nonce: %w", err)
	}
	with := *call
	with.Form = maps.Clone(call.Form)
	values = maps.Clone(values)
	values["nonce"] = nonce // not as text of the form: the vendor's word is no value's name
	values["signature"] = p.sign(call.Form["action"], nonce)
	with.Form["client_id"], with.Form["nonce"], with.Form["signature"] = "{client_id}", "{nonce}", "{signature}"
	return &with, values, nil
}

// nonce asks the vendor for a nonce, which is good once.
func (p *oauth2Source) nonce(ctx context.Context, address string) (string, error) {
	const action = "getnonce"
	now := strconv.FormatInt(time.Now().Unix(), 10)
	form := url.Values{"action": {action}, "client_id": {p.config.ClientID}, "timestamp": {now}, "signature": {p.sign(action, now)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", errors.New("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := p.do(req)
	if err != nil {
		return "", err
	}
	all, err := p.config.succeeded(a)
	if err != nil {
		return "", err
	}
	nonce, err := tokenAt(all, "nonce")
	if err == nil && nonce == "" {
		err = errors.New("the answer has no nonce")
	}
	return nonce, err
}

// sign returns the HMAC-SHA256, by the client's secret, over an action, the client's ID
// and a nonce or timestamp, in hexadecimal.
func (p *oauth2Source) sign(action, once string) string {
	mac := hmac.New(sha256.New, []byte(p.config.clientSecret(&p.sourceHost).Reveal()))
	_, _ = mac.Write([]byte(action + "," + p.config.ClientID + "," + once)) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// succeeded returns the members below the root of an answer that is a success by
// [Reply.OK], as Withings answers all calls. The error says why it is none.
func (c *Config) succeeded(a *answer) (map[string]any, error) {
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("status %d", a.status)
	}
	all, err := a.members()
	if err != nil {
		return nil, err
	}
	if said, _ := textAt(all, c.Reply.OK); c.Reply.OK != "" && said != c.Reply.OKValue {
		return nil, fmt.Errorf("the member %s says that it has failed: check client_id and client_secret", c.Reply.OK)
	}
	if c.Reply.Root == "" {
		return all, nil
	}
	below, _ := memberAt(all, c.Reply.Root)
	members, _ := below.(map[string]any)
	return members, nil
}
