// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestK1_TheFrontendPageHoldsWhatIsTried protects what a frontend developer
// copies: it is what the browser tests run.
func TestK1_TheFrontendPageHoldsWhatIsTried(t *testing.T) {
	page, err := os.ReadFile("../caddymodule/docs/frontend.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"snippet.ts", "provider.tsx", "surveys.ts"} {
		code, err := os.ReadFile(filepath.Join("browser", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```"+strings.TrimPrefix(filepath.Ext(name), ".")+"\n"+string(code)+"```") {
			t.Errorf("frontend.md does not hold %s as it is", name)
		}
		if !strings.Contains(string(page), "`"+name+"`") && name != "surveys.ts" {
			t.Errorf("frontend.md does not name %s", name)
		}
	}
	if !strings.Contains(readme(t), "(caddymodule/docs/frontend.md)") {
		t.Error("README.md does not lead to the page for frontend developers")
	}
}
