package restblob_test

import (
	"testing"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/blobtest"
)

// The suite stands here because blob and catalog do not know each other.
func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T, o blob.Options) *blob.Store { return openStore(t, t.TempDir(), o) })
}
