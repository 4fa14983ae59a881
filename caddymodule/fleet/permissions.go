// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

// commands are all that are used at Redis, by scripts and by the client's own
// library too. In a cluster the library needs clusterCommands as well.
var (
	// commands are all that are used at Redis, by scripts and by the client's own
	// library too. In a cluster the library needs clusterCommands as well.
	commands = []string{
		"get", "mget", "set", "del", "getrange", "pexpire", "pttl", "hget", "hset", "hdel", "hgetall", "scan", "eval", "evalsha",
		"xadd", "xread", "xrange", "xrevrange", "xtrim", "zadd", "zcount", "zrem", "zremrangebyscore", "time", "select",
	}
	clusterCommands = []string{"cluster|slots", "command"}
)

// ACL returns the rights that an ACL user of Redis needs, as words of ACL SETUSER.
func ACL(cluster bool) string {
	all := commands
	if cluster {
		all = slices.Concat(commands, clusterCommands)
	}
	return "~delegate:* +" + strings.Join(all, " +")
}

// aclDenial is that Redis denies a command or a key: by its ACL, or because it was
// built or configured without a command.
type aclDenial struct {
	words   []string // Redis's own
	cluster bool
}

func (d *aclDenial) Error() string {
	return "it does not allow all that is needed; in its own words: " + strings.Join(d.words, "; ") +
		"; with an ACL user give it: ACL SETUSER <user> " + ACL(d.cluster)
}

// RedisError implements [redis.Error]: Redis has answered.
func (*aclDenial) RedisError() {}

// denialPattern finds the part of a denial that names a command or a kind of key,
// and neither the user nor a key's name.
var denialPattern = regexp.MustCompile(`(?i)no permissions to (?:run the '[a-z|]{1,40}'(?: command)?|access (?:a key|one of the keys[a-z ]{0,60}|a channel))|unknown command '[a-z|]{1,40}'`)

// deniedWords returns Redis's words of an error that is a denial; "" of any other
// error. Within a script a denial is no NOPERM, but an ERR that quotes it.
func deniedWords(err error) string {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	text := answer.Error()
	if words := denialPattern.FindString(text); words != "" {
		return words
	}
	switch {
	case strings.Contains(text, "The user executing the script can't"), strings.Contains(text, "ACL failure in script"):
		return deniedWithinScript
	case strings.HasPrefix(text, "NOPERM"):
		return "NOPERM"
	default:
		return ""
	}
}

// deniedWithinScript stands for Redis's words about a command within a script,
// whose name it does not tell.
const deniedWithinScript = "the user executing the script can't run this command or subcommand"

// verifyPermissions runs every command and script that is used later, on keys of
// this machine's own that expire by themselves. Without it a Redis that allows half
// of them would be in use until the first token is minted, down a moment later, and
// in use again. The error is an aclDenial of all that is missing, so that nobody
// has to find one command after the other.
func (f *Fleet) verifyPermissions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*dialFactor*f.timeout)
	defer cancel()
	var words []string
	note := func(err error) error {
		if err == nil || errors.Is(err, redis.Nil) {
			return nil
		}
		said := deniedWords(err)
		if said == "" {
			return err
		}
		if !slices.Contains(words, said) {
			words = append(words, said)
		}
		return nil
	}
	for _, part := range []func(context.Context, func(error) error) error{f.verifyCommands, f.verifyScripts, f.verifyLease} {
		if err := part(ctx, note); err != nil {
			return err
		}
	}
	if len(words) == 0 {
		return nil
	}
	if len(words) > 1 { // the denials with a name say more
		words = slices.DeleteFunc(words, func(w string) bool { return w == deniedWithinScript })
	}
	_, cluster := f.client.(*redis.ClusterClient)
	return &aclDenial{words, cluster}
}

// verificationKey is a key of this machine's own. All of them are in one slot of a
// cluster.
func (f *Fleet) verificationKey(of string) string {
	return redisKey(f.sealer.Name("rehearsal", f.machine), "rehearsal-"+of)
}

// verificationTTL is how long these keys are kept.
const verificationTTL = 10 * time.Second

// verifyCommands runs the commands that are used outside of scripts.
func (f *Fleet) verifyCommands(ctx context.Context, note func(error) error) error {
	value, hash, stream, set := f.verificationKey("value"), f.verificationKey("hash"), f.verificationKey("stream"), f.verificationKey("set")
	pipe := f.client.Pipeline()
	pipe.Set(ctx, value, "1", verificationTTL)
	pipe.Get(ctx, value)
	pipe.MGet(ctx, value)
	pipe.GetRange(ctx, value, 0, 0)
	pipe.PExpire(ctx, value, verificationTTL)
	pipe.PTTL(ctx, value)
	pipe.HSet(ctx, hash, "a", "1")
	pipe.HGet(ctx, hash, "a")
	pipe.HGetAll(ctx, hash)
	pipe.HDel(ctx, hash, "a") // which leaves no hash
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []string{"a", "1"}})
	pipe.XRange(ctx, stream, "-", "+")
	pipe.XRevRange(ctx, stream, "+", "-")
	pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, "0-0"}, Count: 1, Block: -1})
	pipe.XTrimMaxLen(ctx, stream, 1)
	pipe.ZAdd(ctx, set, redis.Z{Score: 1, Member: "a"})
	pipe.ZCount(ctx, set, "-inf", "+inf")
	pipe.ZRemRangeByScore(ctx, set, "1", "1")
	pipe.ZRem(ctx, set, "a")
	pipe.Time(ctx)
	for _, key := range []string{hash, stream, set} { // in case del is denied
		pipe.PExpire(ctx, key, verificationTTL)
	}
	pipe.Del(ctx, value, hash, stream, set)
	if err := runAll(ctx, pipe, note); err != nil {
		return err
	}
	return note(f.client.Scan(ctx, 0, redisKey("*", "revoked"), 1).Err())
}

// verifyScripts runs the scripts: the commands within them have to be allowed as
// well.
func (f *Fleet) verifyScripts(ctx context.Context, note func(error) error) error {
	// A key for each type: where del is denied they stay for a while.
	one, two, hash, stream := f.verificationKey("one"), f.verificationKey("two"), f.verificationKey("record"), f.verificationKey("none")
	pipe := f.client.Pipeline()
	pipe.Set(ctx, two, "own", verificationTTL)
	pipe.Eval(ctx, storeScript, []string{one, two}, "own", "value", verificationTTL.Milliseconds())
	pipe.Eval(ctx, discardScript, []string{one}, "value")
	pipe.Eval(ctx, resetFutureScript, []string{stream, two}, rereadWindow.Milliseconds(), "1")
	pipe.Eval(ctx, revokeScript, []string{hash}, verificationTTL.Milliseconds(), maxSessionsListed, "1 1 x", "m", "1 1 x")
	pipe.Del(ctx, one, two, hash)
	return runAll(ctx, pipe, note)
}

// verifyLease takes, renews and releases a lease, as a machine does that mints.
func (f *Fleet) verifyLease(ctx context.Context, note func(error) error) error {
	lock, err := f.locks.Obtain(ctx, f.verificationKey("lease"), verificationTTL, nil)
	if err != nil {
		if errors.Is(err, redislock.ErrNotObtained) {
			return nil // an attempt of a moment ago, which was interrupted
		}
		return note(err)
	}
	if err := note(lock.Refresh(ctx, verificationTTL, nil)); err != nil {
		return err
	}
	return note(lock.Release(ctx))
}

// runAll runs a pipeline, and calls note with each command's error.
func runAll(ctx context.Context, pipe redis.Pipeliner, note func(error) error) error {
	done, _ := pipe.Exec(ctx) // the error is the first command's
	for _, c := range done {
		if err := note(c.Err()); err != nil {
			return err
		}
	}
	return nil
}

// Check tries whether Redis can be used, without beginning to: OnChange is not
// called, and nothing is kept. The error's text is for the operator, and holds
// neither address nor password.
func (f *Fleet) Check(ctx context.Context) error {
	if err := f.verifyPermissions(ctx); err != nil {
		return errors.New(redisCause(err))
	}
	return nil
}
