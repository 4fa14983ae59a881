// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// checkExtractor returns an error for wrong settings of where a request has its session.
func (s *AppSession) checkExtractor() error {
	switch {
	case s.Cookie == "" && !s.Bearer:
		return errors.New("say where the session is: add `cookie <name>`, or `bearer`")
	case s.Cookie != "" && session.CheckCookieName(s.Cookie) != nil:
		return fmt.Errorf("cookie %q: %w", s.Cookie, session.CheckCookieName(s.Cookie))
	case strings.Contains(s.CookieJSON, "{"):
		return errors.New("cookie_json takes a path such as access_token, and no placeholder")
	case s.CookieJSON != "" && s.Cookie == "":
		return errors.New("cookie_json is where the session stands in a cookie: add `cookie <name>`")
	case s.CookieJSON != "" && s.SessionEndpoint != nil:
		return errors.New("cookie_json does not go with session_endpoint, which is sent the cookie as it came: remove it")
	}
	return nil
}
