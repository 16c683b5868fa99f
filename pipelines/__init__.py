"""KFP components and pipelines: thin glue over `watchnext.training`."""
