package ams

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestValidateName(t *testing.T) {
	for _, tt := range []struct {
		name string
		ok   bool
	}{
		{"BigBuckBunny in", true},
		{"été 東京", true},
		{strings.Repeat("é", 260), true}, // characters, not bytes
		{strings.Repeat("e", 261), false},
		{"clip.mp4", false}, // a fine Label, no Name
		{"a/b", false},
		{"it's", false},
		{"tab\there", false},
		{"", false},
		{"\xff", false},
	} {
		err := ValidateName("asset", tt.name)
		if (err == nil) != tt.ok {
			t.Errorf("ValidateName(%q) = %v, want ok %v", tt.name, err, tt.ok)
		}
		if err != nil && CodeOf(err) != Invalid {
			t.Errorf("ValidateName(%q): code %v, want Invalid", tt.name, CodeOf(err))
		}
	}
}

func TestValidateFileName(t *testing.T) {
	for name, ok := range map[string]bool{
		"input.mp4":               true,
		"My clip (1).mov":         true,
		"videos/inputs/input.mp4": false,
		`a\b.mp4`:                 false,
		"a:b.mp4":                 false,
		"con.mp4":                 false,
		"COM1":                    false,
		"COM0":                    true,
		"console.mp4":             true,
		"trailing.":               false,
		"trailing ":               false,
		"nul\x00.mp4":             false,
		"":                        false,
	} {
		if err := ValidateFileName(name); (err == nil) != ok {
			t.Errorf("ValidateFileName(%q) = %v, want ok %v", name, err, ok)
		}
	}
}

func TestValidateContainerName(t *testing.T) {
	for name, ok := range map[string]bool{
		"asset-b8d8b68a-2d7f-4d8c-81bb-8c7bbbe67ee4": true,
		"abc": true, "a-b": true, "$web": true,
		"ab": false, "Abc": false, "a--b": false, "-ab": false, "ab-": false, "a_b": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
	} {
		if err := ValidateContainerName(name); (err == nil) != ok {
			t.Errorf("ValidateContainerName(%q) = %v, want ok %v", name, err, ok)
		}
	}
}

func TestCodeOfKeepsKindThroughWrapping(t *testing.T) {
	err := fmt.Errorf("publish %q: %w", "a", Errorf(NotFound, "no such asset"))
	if CodeOf(err) != NotFound {
		t.Errorf("CodeOf = %v, want NotFound", CodeOf(err))
	}
	if CodeOf(errors.New("disk on fire")) != Internal {
		t.Error("a foreign error must be Internal")
	}
}

func TestJobStateMoves(t *testing.T) {
	for _, s := range []JobState{Finished, Failed, Canceled} {
		if !s.Final() {
			t.Errorf("%s is not final", s)
		}
		for _, n := range []JobState{Queued, Scheduled, Processing, Finished, Failed, Canceling, Canceled} {
			if s.CanMove(n) {
				t.Errorf("%s may move to %s", s, n)
			}
		}
	}
	if Queued.Final() || !Processing.CanMove(Finished) || Canceling.CanMove(Processing) {
		t.Error("the state machine lost an edge")
	}
}

func TestDeriveState(t *testing.T) {
	task := func(s JobState) Task { return Task{State: s, OnError: StopProcessingJob} }
	lenient := Task{State: Failed, OnError: ContinueJob}
	for i, tt := range []struct {
		tasks []Task
		want  JobState
	}{
		{[]Task{task(Queued), task(Queued)}, Queued},
		{[]Task{task(Queued), task(Scheduled)}, Scheduled},
		{[]Task{task(Processing), task(Queued)}, Processing},
		{[]Task{task(Finished), task(Queued)}, Processing},
		{[]Task{task(Finished), task(Finished)}, Finished},
		{[]Task{task(Finished), task(Failed)}, Failed},
		{[]Task{task(Finished), lenient}, Finished},
		{[]Task{lenient}, Finished},
		{[]Task{task(Canceled), task(Failed)}, Failed},
		{[]Task{task(Canceled), task(Finished)}, Canceled},
		{[]Task{task(Canceling), task(Queued)}, Canceling},
		{[]Task{task(Canceled), task(Canceling)}, Canceling},
	} {
		if got := DeriveState(tt.tasks); got != tt.want {
			t.Errorf("case %d: %s, want %s", i, got, tt.want)
		}
	}
}

func TestPredefinedPolicies(t *testing.T) {
	byName := map[string]*StreamingPolicy{}
	for _, p := range PredefinedPolicies() {
		byName[p.Name] = p
	}
	if len(byName) != 6 {
		t.Fatalf("%d predefined policies, want 6", len(byName))
	}
	if p := byName["Predefined_ClearStreamingOnly"]; p.Allows(NoEncryption, Download) || !p.Allows(NoEncryption, HLS) || p.NeedsKeys() {
		t.Error("Predefined_ClearStreamingOnly streams in the clear and does not download")
	}
	if !byName["Predefined_MultiDrmStreaming"].NeedsKeys() {
		t.Error("Predefined_MultiDrmStreaming needs keys")
	}
}

func TestTransformValidateFillsDefaults(t *testing.T) {
	tr := Transform{Name: "abr", Outputs: []TransformOutput{{Preset: Preset{Type: BuiltIn}}}}
	if err := tr.Validate(); err != nil {
		t.Fatal(err)
	}
	if o := tr.Outputs[0]; o.OnError != StopProcessingJob || o.RelativePriority != Normal {
		t.Errorf("defaults not filled: %+v", o)
	}
	tr.Outputs[0].OnError = "Shrug"
	if err := tr.Validate(); CodeOf(err) != Invalid {
		t.Errorf("onError Shrug: %v, want Invalid", err)
	}
	tr.Outputs = nil
	if err := tr.Validate(); CodeOf(err) != Invalid {
		t.Errorf("no outputs: %v, want Invalid", err)
	}
}
