package ams

import "testing"

func TestCaller(t *testing.T) {
	for _, tt := range []struct{ kind, name, text string }{
		{"Application", "", ""},
		{"Application", "0d6b…", "0d6b…"},
		{"User", "alice b", "User alice b"},
		{"ManagedIdentity", "0d6b…", "ManagedIdentity 0d6b…"},
	} {
		if got := CallerText(tt.kind, tt.name); got != tt.text {
			t.Errorf("%+v: %q", tt, got)
		}
		if kind, name := SplitCaller(tt.text); kind != tt.kind || name != tt.name {
			t.Errorf("%+v: %q, %q", tt, kind, name)
		}
	}
}
