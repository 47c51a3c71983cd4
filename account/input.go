package account

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
)

// checkInput reports the first rule that the input of a new job breaks, and
// the first thing in it that the encoder does not do.
func (s *Server) checkInput(in ams.JobInput) error {
	n := 0
	if err := s.validateInput(in, "properties.input", &n, 0); err != nil {
		return err
	}
	if s.SupportsInput != nil {
		if err := s.SupportsInput(in); err != nil {
			return about(err, "properties.input", "%s", err)
		}
	}
	return nil
}

// maxInputDepth bounds JobInputs in JobInputs. AMS documents no bound; its
// samples nest a sequence in a list.
const maxInputDepth = 4

// validateInput checks the input at the path at. n counts the inputs of the
// job seen so far.
func (s *Server) validateInput(in ams.JobInput, at string, n *int, depth int) error {
	switch in.Kind {
	case ams.InputAsset, ams.InputHTTP, ams.InputClip:
		if *n++; *n > ams.MaxJobInputs {
			return ams.Invalidf("properties.input", "A job may have at most %d inputs.", ams.MaxJobInputs)
		}
		if len(in.Files) > ams.MaxFilesPerInput {
			return ams.Invalidf(at+".files", "A job input may name at most %d files.", ams.MaxFilesPerInput)
		}
		return s.validateClip(in, at)
	case ams.InputList, ams.InputSequence:
		if len(in.Inputs) == 0 {
			return ams.Invalidf(at+".inputs", "The %s has no inputs.", in.Kind)
		}
		if depth >= maxInputDepth {
			return ams.Invalidf(at+".inputs", "The job's inputs are nested too deep.")
		}
		for i, sub := range in.Inputs {
			at := fmt.Sprintf("%s.inputs[%d]", at, i)
			if in.Kind == ams.InputSequence && (sub.Kind == ams.InputList || sub.Kind == ams.InputSequence) {
				return ams.Invalidf(at, "A JobInputSequence holds clips, not a %s.", sub.Kind)
			}
			if err := s.validateInput(sub, at, n, depth+1); err != nil {
				return err
			}
		}
		return nil
	case "":
		return ams.Invalidf(at, "The job has no input.")
	}
	return ams.Invalidf(at, "'#Microsoft.Media.%s' is not a kind of job input.", in.Kind)
}

func (s *Server) validateClip(in ams.JobInput, at string) error {
	switch in.Kind {
	case ams.InputAsset:
		if in.Asset == "" {
			return ams.Invalidf(at+".assetName", "assetName is missing.")
		}
		for i, f := range in.Files {
			if err := ams.ValidateFileName(f); err != nil {
				return ams.Invalidf(fmt.Sprintf("%s.files[%d]", at, i), "%s", err.Error())
			}
		}
	case ams.InputHTTP:
		if len(in.Files) == 0 {
			return ams.Invalidf(at+".files", "A JobInputHttp needs at least one file.")
		}
		if len(in.BaseURI) > ams.MaxHTTPInputURL {
			return ams.Invalidf(at+".baseUri", "The base URI is longer than %d characters.", ams.MaxHTTPInputURL)
		}
		for i := range in.Files {
			if err := s.validateURL(HTTPInput(in, i), fmt.Sprintf("%s.files[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// HTTPInput is the URL of the i-th file of a JobInputHttp: the base URI and
// the file's name, concatenated (documented).
func HTTPInput(in ams.JobInput, i int) string {
	base, file := in.BaseURI, in.Files[i]
	if base != "" && !strings.HasSuffix(base, "/") && !strings.HasPrefix(file, "/") {
		base += "/" // both spellings of the base occur in samples
	}
	return base + file
}

func (s *Server) validateURL(raw, at string) error {
	if len(raw) > ams.MaxHTTPInputURL {
		return ams.Invalidf(at, "The URL is longer than %d characters.", ams.MaxHTTPInputURL)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ams.Invalidf(at, "The file is not a URL.") // not repeated: its query may be a secret
	}
	if !strings.EqualFold(u.Scheme, "https") {
		return ams.Invalidf(at, "Only https URLs are supported for JobInputHttp, not %s.", u.Scheme)
	}
	if s.CheckURL != nil {
		if err := s.CheckURL(raw); err != nil {
			return ams.Invalidf(at, "The URL on host '%s' is refused: %v.", u.Hostname(), err)
		}
	}
	return nil
}

// WithoutQuery is a job's file as an answer may show it: query strings are
// never returned, since they may hold signatures (documented).
func WithoutQuery(file string) string {
	file, _, _ = strings.Cut(file, "?")
	return file
}
