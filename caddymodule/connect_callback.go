// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// callbackDetails marks what delegate_connect answers at the callback. `caddy
// delegate check` looks for it.
const callbackDetails = `details="callback"`

// maxCallbackBody is more than any callback needs, in bytes.
const maxCallbackBody = 256 << 10

// handleCallback serves a callback of the platform. It returns no error to Caddy,
// which would log the request with it, see unloggedPaths. rest is the path behind
// /callback.
func (c *Connect) handleCallback(w http.ResponseWriter, r *http.Request, rest string) error {
	leaveOutOfLogs(r.Context())
	w.Header().Set("Proxy-Status", c.refusals.statusName+"; "+callbackDetails) // by which `check` knows it
	if !c.provider.canReadCallbacks() || !c.isCallback(strings.TrimPrefix(rest, "/")) {
		w.WriteHeader(http.StatusNotFound)
		return nil
	}
	if from, ok := c.fromPlatform(r); !ok {
		level := zapcore.WarnLevel
		// Without a segment anybody could fill the log.
		if r.UserAgent() == checkUserAgent || rest == "" {
			level = zapcore.DebugLevel
		}
		c.provider.logger.Log(level, "a callback was not taken", zap.NamedError("cause", fmt.Errorf("callback_from leaves out %s, from where it came: if that is a proxy in front, name it in trusted_proxies of Caddy's servers; if it is the platform, in callback_from", from)))
		w.WriteHeader(http.StatusNotFound)
		return nil
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCallbackBody)
	kind, err := c.own.consents.HandleCallback(r.Context(), r)
	var refusal *delegation.Refusal
	switch {
	case err == nil:
		c.provider.callbacks.recordCallback()
		c.provider.recordCallbackKind(kind)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case errors.Is(err, delegation.ErrForged):
		w.WriteHeader(http.StatusForbidden)
	case errors.As(err, &refusal):
		w.Header().Set("Retry-After", strconv.Itoa(int(max(refusal.BoundedRetryAfter(), time.Second).Seconds())))
		w.WriteHeader(refusal.Status())
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
	consentsTotal.WithLabelValues(c.Provider, "", string(consentCallbackRejected)).Inc()
	c.provider.logger.Warn("a callback was not taken", zap.NamedError("cause", err))
	return nil
}

// isCallback tells whether a callback comes by the address that the operator gave
// the platform.
func (c *Connect) isCallback(segment string) bool {
	return subtle.ConstantTimeCompare([]byte(segment), []byte(c.callbackSegment.Reveal())) == 1
}

// fromPlatform is the client's address, and whether callbacks may come from it.
func (c *Connect) fromPlatform(r *http.Request) (address string, ok bool) {
	address, _ = caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return address, len(c.callbackRanges) == 0 || inRanges(c.callbackRanges, address)
}
