// SPDX-License-Identifier: Apache-2.0

package strictjson

import "encoding/json"

// ReportsError reports whether the decoded value of an error member says that there is one.
func ReportsError(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case bool:
		return value
	case string:
		return value != ""
	case json.Number:
		return value.String() != "0"
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	default:
		return true
	}
}
