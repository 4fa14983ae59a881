// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// query is a statement that is being built, with its parameters.
type query struct {
	text        strings.Builder
	args        []any
	placeholder func(int) string
}

// buildQuery makes a statement of pieces and values in turn: text, value, text,
// value, …, text. A []string stands for a list of values.
func (s *Store) buildQuery(pieces ...any) (string, []any) {
	q := query{placeholder: s.dialect.placeholder}
	for i, piece := range pieces {
		if i%2 == 0 {
			q.text.WriteString(piece.(string))
			continue
		}
		list, ok := piece.([]string)
		if !ok {
			q.addValue(piece)
			continue
		}
		q.text.WriteByte('(')
		for j, v := range list {
			if j > 0 {
				q.text.WriteByte(',')
			}
			q.addValue(v)
		}
		q.text.WriteByte(')')
	}
	return q.text.String(), q.args
}

func (q *query) addValue(v any) {
	q.args = append(q.args, v)
	q.text.WriteString(q.placeholder(len(q.args)))
}

// scanner is a row of a query.
type scanner interface{ Scan(into ...any) error }

// querier is a database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// queryRow reads one row by into. The error is [ErrNotFound] if there is none.
func (s *Store) queryRow(ctx context.Context, db querier, into func(scanner) error, pieces ...any) error {
	text, args := s.buildQuery(pieces...)
	err := into(db.QueryRowContext(ctx, text, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// exec runs a statement and returns how many rows it has changed.
func (s *Store) exec(ctx context.Context, db querier, pieces ...any) (int64, error) {
	text, args := s.buildQuery(pieces...)
	result, err := db.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// scanStrings returns the values of a query of one column, and closes it.
func scanStrings(rows *sql.Rows, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
