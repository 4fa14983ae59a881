// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"
)

// The actions of operators, as the table of decisions has them.
const (
	actionRelease = "release"
	actionMove    = "move"
	actionDelete  = "delete"
	actionReseal  = "reseal"
	actionImport  = "import"
	actionDoubt   = "doubt"
)

// Decision is an operator's decision about grants. Its record is written in the
// transaction that carries it out, and names no person but the operator.
type Decision struct {
	// At is when it was decided, in milliseconds, by the clock of the machine.
	At time.Time
	// Action is release, move, delete, reseal, rename, import or doubt.
	Action string
	// Grant is the id of the grant; empty for the actions on many.
	Grant string
	// By is the account on the machine where it was decided.
	By string
}

// Decisions calls tell with every decision, the oldest first. An error of tell ends
// it and is returned; otherwise the error is [ErrUnavailable].
func (s *Store) Decisions(ctx context.Context, tell func(Decision) error) error {
	var all []Decision
	if err := s.read(ctx, "listing decisions", func(ctx context.Context, db querier) error {
		rows, err := db.QueryContext(ctx, "SELECT at, action, subject, by FROM decisions ORDER BY at, id")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var d Decision
			var at int64
			if err := rows.Scan(&at, &d.Action, &d.Grant, &d.By); err != nil {
				return err
			}
			d.At = time.UnixMilli(at)
			all = append(all, d)
		}
		return rows.Err()
	}); err != nil {
		return err
	}
	for _, d := range all {
		if err := tell(d); err != nil {
			return err
		}
	}
	return nil
}

// decide changes a grant by f, deletes the flows that would undo the decision, and
// records it, in one transaction. f gets the grant as changed now, and may change its
// owner.
func (s *Store) decide(ctx context.Context, action, id, by string, f func(ctx context.Context, tx querier, g *Grant) error) error {
	return s.write(ctx, action+" of a grant", func(ctx context.Context, tx querier) error {
		g, err := s.byID(ctx, tx, id)
		if err != nil {
			return err
		}
		if g.Changed, err = s.now(ctx, tx); err != nil {
			return err
		}
		persons := s.ownerPseudonyms(g.Owner)
		if err := f(ctx, tx, g); err != nil {
			return err
		}
		persons = append(persons, s.ownerPseudonyms(g.Owner)...) // of a new owner as well
		if err := s.deleteAnsweredFlows(ctx, tx, g.Provider, g.Source, persons, g.Account); err != nil {
			return err
		}
		return s.recordDecision(ctx, tx, action, id, by)
	})
}

// recordDecision notes a decision in the transaction that carries it out.
func (s *Store) recordDecision(ctx context.Context, tx querier, action, id, by string) error {
	_, err := s.exec(ctx, tx, "INSERT INTO decisions (id, at, action, subject, by) VALUES (", newID(), ", ", millis(time.Now()), ", ", action, ", ", id, ", ", by, ")")
	return err
}
