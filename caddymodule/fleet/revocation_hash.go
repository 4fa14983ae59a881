// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// revokeScript merges the revocations of one target: the later moment counts,
// whichever machine writes last, and of single sessions there are few. Each field
// of the hash is "<microseconds> <milliseconds> <sealed>": the moment by which it
// is compared, and when a single session (fields "s…") need not be listed any
// longer. Of too many they become the moment "m" that covers them.
//
//nolint:dupword // Lua ends each block so
const revokeScript = `
local key, life = KEYS[1], tonumber(ARGV[1])
local time = redis.call("time")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function numbers(value)
	local at, ends = string.match(value, "^(%d+) (%d+) ")
	return tonumber(at) or 0, tonumber(ends) or 0
end
local function later(field, value)
	local old = redis.call("hget", key, field)
	if not old or numbers(old) <= numbers(value) then redis.call("hset", key, field, value) end
end
local function prune()
	local at, all, n = 0, redis.call("hgetall", key), 0
	for i = 1, #all, 2 do if all[i] == "m" then at = numbers(all[i + 1]) end end
	for i = 1, #all, 2 do
		if string.sub(all[i], 1, 1) == "s" then
			local issued, ends = numbers(all[i + 1])
			if issued <= at or ends <= now then redis.call("hdel", key, all[i]) else n = n + 1 end
		end
	end
	return n
end
for i = 4, #ARGV, 2 do later(ARGV[i], ARGV[i + 1]) end
if prune() > tonumber(ARGV[2]) then
	later("m", ARGV[3])
	prune()
end
if redis.call("pttl", key) < life then redis.call("pexpire", key, life) end
return 0`

// maxSessionsListed is how many single sessions Redis lists for one person.
const maxSessionsListed = 8

// queueRevocation queues one write of the record and one to the stream, and returns
// the entry of the stream that this machine reads. The record is written under one
// pseudonym only: records are found by reading all of them.
func (f *Fleet) queueRevocation(ctx context.Context, pipe redis.Pipeliner, what *session.Revocation) (own *redis.StringCmd, err error) {
	n := what.RevocationTarget
	key := f.revocationKey(n)
	fallback, err := f.sealRevocation(key, &session.Revocation{RevocationTarget: n, At: what.CoveringTime()})
	if err != nil {
		return nil, err
	}
	args := []any{max(time.Until(what.Expires()).Milliseconds(), 1), maxSessionsListed, fallback}
	for _, part := range what.Parts() {
		value, err := f.sealRevocation(key, &part)
		if err != nil {
			return nil, err
		}
		args = append(args, f.revocationField(&part), value)
	}
	pipe.Eval(ctx, revokeScript, []string{key}, args...)
	sealed, err := f.sealStreamRecord(streamRecord{
		streamSelection: streamSelection{sessionNamespace, legacySelection(n)}, // for earlier versions
		At:              what.At,
		Revocation:      what,
	})
	if err != nil {
		return nil, err
	}
	return f.queueStreamEntry(ctx, pipe, sealed), nil
}

// revocationKey is the key of the record of a target.
func (f *Fleet) revocationKey(n session.RevocationTarget) string {
	return redisKey(f.sealer.Name("revoked", n.Realm, n.Subject, n.SessionID, n.Digest), "revoked")
}

// revocationField is the field of a part of a revocation. Redis must not learn a
// session's name.
func (f *Fleet) revocationField(part *session.Revocation) string {
	switch {
	case len(part.Sessions) > 0:
		return "s" + f.sealer.Name("revoked session", part.Sessions[0].ID, part.Sessions[0].Digest)
	case !part.NoSessionID.IsZero():
		return "n"
	default:
		return "m"
	}
}

// sealRevocation returns the value of a field, see revokeScript.
func (f *Fleet) sealRevocation(key string, part *session.Revocation) (string, error) {
	plain, err := json.Marshal(part)
	if err != nil {
		return "", err
	}
	sealed, err := f.sealer.Seal(plain, tuple.Encode("revoked", key))
	if err != nil {
		return "", err
	}
	at, ends := part.CoveringTime(), part.Expires()
	if at.IsZero() {
		at = part.NoSessionID
	}
	return strconv.FormatInt(at.UnixMicro(), 10) + " " + strconv.FormatInt(ends.UnixMilli(), 10) + " " + string(sealed), nil
}

// openRevocation opens the value of a field. ok is false if it does not open.
func (f *Fleet) openRevocation(key, value string) (part session.Revocation, ok bool) {
	_, rest, _ := strings.Cut(value, " ")
	_, sealed, _ := strings.Cut(rest, " ")
	plain, err := f.sealer.Open([]byte(sealed), tuple.Encode("revoked", key))
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(plain)).Decode(&part)
	}
	return part, err == nil
}
