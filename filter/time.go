package filter

import (
	"fmt"
	"time"
)

// timeLayouts are the spellings of dates that clients of either API send.
// A fraction of a second is taken wherever there are seconds.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
}

// ParseTime reads a date as a literal spells it, in UTC where it names no
// zone.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.UTC().Year(); y < 1 || y > 9999 {
				break // an offset pushed it out of what can be written again
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("'%s' is not a date such as 2018-05-11T17:39:08.387Z", s)
}
