"""The pages on which people sign in and decide what apps get. HTML of this server alone, without scripts."""
