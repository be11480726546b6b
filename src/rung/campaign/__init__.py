"""Campaigns: labels, round by round, until a question is answered well enough, each round a folder."""

from rung.campaign.campaign import FinishedCampaign, run_campaign
from rung.campaign.config import CampaignConfig, load_campaign_config
from rung.campaign.plan import plan_campaign

__all__ = ["CampaignConfig", "FinishedCampaign", "load_campaign_config", "plan_campaign", "run_campaign"]
