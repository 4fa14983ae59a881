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

// expandSecret is [expandSetting] for a secret or key. One that is written into
// the configuration itself is taken as it is: braces may belong to it.
func expandSecret(repl *caddy.Replacer, setting string) (string, error) {
	if strings.HasPrefix(setting, "{") {
		warnExposedFile(setting)
		return expandSetting(repl, setting)
	}
	if err := checkFilePlaceholder(setting); err != nil {
		return "", err
	}
	if strings.Contains(setting, "{env.") || strings.Contains(setting, "{file.") {
		// Taken as it is written it would be a secret that anybody can guess.
		return "", errors.New("a placeholder for a secret stands by itself: leave out what is before it")
	}
	return setting, nil
}

// readSecret expands the secret of the named setting. Line breaks around it and
// a byte order mark are left out; all else is kept, and logged as a warning if
// it looks as if it did not belong to the secret: with a wrong secret the other
// side refuses everybody. An empty secret is an error.
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

// loadSecret is [readSecret] with placeholders of the process alone, for
// secrets that are read again while the configuration runs.
func loadSecret(name, setting string) (delegation.Secret, error) {
	text, err := readSecret(caddy.NewReplacer(), name, setting)
	if err != nil {
		return delegation.Secret{}, err
	}
	return delegation.NewSecret(text), nil
}

// warnedExposures are the files that a warning was logged of, each with the
// reason: string to string.
var warnedExposures sync.Map

// warnExposedFile logs a warning if users of this machine other than Caddy's
// can open the file of a {file.*} placeholder, once for each reason. The file
// is used all the same: how secrets are mounted is not always the operator's
// choice.
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
