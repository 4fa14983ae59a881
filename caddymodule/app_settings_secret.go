// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/permission"
)

// expandSecret is expand for a secret or key that may have been written into
// the configuration, where braces are its own.
func expandSecret(repl *caddy.Replacer, setting string) (string, error) {
	if strings.HasPrefix(setting, "{") {
		warnExposedFile(setting)
		return expandSetting(repl, setting)
	}
	if err := checkFilePlaceholder(setting); err != nil {
		return "", err
	}
	if strings.Contains(setting, "{env.") || strings.Contains(setting, "{file.") {
		// Taken as it is written it would be a text that anybody can guess.
		return "", errors.New("a placeholder for a secret stands by itself: leave out what is before it")
	}
	return setting, nil
}

// readSecret expands a secret. What looks as if it did not belong to it is warned
// of by the setting's name: line breaks and a byte order mark are left out, all
// else is kept. A secret that is not what the other side has shows itself by
// everybody being refused.
func readSecret(repl *caddy.Replacer, name, setting string) (string, error) {
	text, err := expandSecret(repl, setting)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	secret, odd := delegation.TrimSecret(text)
	if odd != "" {
		caddy.Log().Named("delegate").Warn("a secret may not be what was meant", zap.String("setting", name), zap.String("why", odd))
	}
	if strings.TrimSpace(secret) == "" {
		return "", fmt.Errorf("%s is empty: put the secret there", name)
	}
	return secret, nil
}

// pathFilePlaceholder is what Caddy's shorthand for the file of a request's path becomes.
const pathFilePlaceholder = "{http.request.uri.path.file."

// checkFilePlaceholder reports a placeholder for a file that Caddy's Caddyfile has taken for
// a shorthand: in a site {file.secret} is one, {file./path/secret} is not.
func checkFilePlaceholder(setting string) error {
	_, name, ok := strings.Cut(setting, pathFilePlaceholder)
	if !ok {
		return nil
	}
	name, _, _ = strings.Cut(name, "}")
	return fmt.Errorf("in a site Caddy reads {file.%s} as a part of the request's path, because the name has neither slash nor dot: write the file's whole path, such as {file./run/secrets/%s}", name, name)
}

// warnedExposures are the files that were warned of, with why.
var warnedExposures sync.Map

// warnExposedFile warns of a file with a secret that others can read too, once for
// each reason. It is not refused: how secrets are mounted is not always the
// operator's choice.
func warnExposedFile(setting string) {
	file, ok := strings.CutPrefix(strings.TrimSuffix(setting, "}"), "{file.")
	if !ok {
		return
	}
	why := permission.Exposure(file)
	if before, _ := warnedExposures.Swap(file, why); why != "" && before != why {
		caddy.Log().Named("delegate").Warn("others can open a file with a secret", zap.String("file", file), zap.String("why", why))
	}
}
