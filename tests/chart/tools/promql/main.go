// Command promql reads a JSON object on standard input and says what Prometheus makes of it:
//
//	{"rules": "text of a rule file", "queries": ["up == 0"], "series": ["up{pod=\"a\"} 1 0"], "at": 60}
//
// It prints, as JSON, the faults of the rule file, and for each query its fault if it cannot be read, the metrics and
// labels that it names, and what it selects at a second of the series, which are in the notation of Prometheus' own
// tests, with a sample a minute.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const everyMs = 60_000

type question struct {
	Rules   string   `json:"rules"`
	Queries []string `json:"queries"`
	Series  []string `json:"series"`
	At      int64    `json:"at"`
}

type answer struct {
	RuleFaults []string `json:"rule_faults"`
	Queries    []query  `json:"queries"`
}

type query struct {
	Fault    string              `json:"fault"`
	Metrics  []string            `json:"metrics"`
	Labels   []string            `json:"labels"`
	Selected []map[string]string `json:"selected"`
}

// sample is a number at a time.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// found walks over series.
type found struct {
	series []storage.Series
	place  int
}

func (f *found) Next() bool                        { f.place++; return f.place <= len(f.series) }
func (f *found) At() storage.Series                { return f.series[f.place-1] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return fmt.Errorf("wanted a JSON object: %w", err)
	}
	loaded, err := load(asked.Series)
	if err != nil {
		return err
	}
	said := answer{RuleFaults: []string{}, Queries: []query{}}
	_, faults := rulefmt.Parse([]byte(asked.Rules), false)
	for _, fault := range faults {
		said.RuleFaults = append(said.RuleFaults, fault.Error())
	}
	for _, text := range asked.Queries {
		said.Queries = append(said.Queries, look(text, loaded, time.Unix(asked.At, 0)))
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func load(lines []string) ([]storage.Series, error) {
	var loaded []storage.Series
	for _, line := range lines {
		names, values, err := parser.ParseSeriesDesc(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		var samples []chunks.Sample
		for i, value := range values {
			if !value.Omitted {
				samples = append(samples, sample{int64(i) * everyMs, value.Value})
			}
		}
		loaded = append(loaded, storage.NewListSeries(names, samples))
	}
	return loaded, nil
}

func look(text string, loaded []storage.Series, at time.Time) query {
	said := query{Metrics: []string{}, Labels: []string{}, Selected: []map[string]string{}}
	expression, err := parser.ParseExpr(text)
	if err != nil {
		said.Fault = err.Error()
		return said
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch part := node.(type) {
		case *parser.VectorSelector:
			for _, matcher := range part.LabelMatchers {
				if matcher.Name == labels.MetricName {
					said.Metrics = append(said.Metrics, matcher.Value)
				} else {
					said.Labels = append(said.Labels, matcher.Name)
				}
			}
		case *parser.AggregateExpr:
			said.Labels = append(said.Labels, part.Grouping...)
		case *parser.BinaryExpr:
			if part.VectorMatching != nil {
				said.Labels = append(said.Labels, part.VectorMatching.MatchingLabels...)
			}
		}
		return nil
	})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	prepared, err := engine.NewInstantQuery(context.Background(), over(loaded), nil, text, at)
	if err == nil {
		var vector promql.Vector
		vector, err = prepared.Exec(context.Background()).Vector()
		for _, one := range vector {
			said.Selected = append(said.Selected, one.Metric.Map())
		}
	}
	if err != nil {
		said.Fault = err.Error()
	}
	return said
}

func over(loaded []storage.Series) storage.Queryable {
	choose := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		chosen := &found{}
		for _, series := range loaded {
			fits := true
			for _, matcher := range matchers {
				fits = fits && matcher.Matches(series.Labels().Get(matcher.Name))
			}
			if fits {
				chosen.series = append(chosen.series, series)
			}
		}
		return chosen
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: choose}}
}
